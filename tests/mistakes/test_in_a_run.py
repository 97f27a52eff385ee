"""Mistakes are made in the middle of a run too: exactly the tests that make them fail, and none that comes next."""

from collections.abc import Iterator, Sequence
from itertools import chain

import pytest

from tests.mistakes.catalogue import Change, File, Guarded, Mistake
from tests.mistakes.conftest import MakeChanged
from tests.mistakes.families import MISTAKES
from tests.mistakes.together import can_share

TEST = "tests/test_mistake.py"

INNOCENT = """
import asyncio
import os
from contextvars import copy_context

import pytest
from httpx import AsyncClient
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shop.models import User

def variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}

BEFORE = variables()

@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("mark", [pytest.param(1, marks=pytest.mark.own_database), 2])
async def test_sign_up(client: AsyncClient, db_session: AsyncSession, mark: int, number: int) -> None:
    assert variables() == BEFORE
    assert "poller" not in {task.get_name() for task in asyncio.all_tasks()}
    assert "acme" not in copy_context().values()
    new = {"email": "ada@example.com", "password": "correct horse battery"}
    assert (await client.post("/users", json=new)).status_code == 201
    assert await db_session.scalar(select(func.count()).select_from(User)) == 1
"""


def _modules(mistake: Mistake) -> set[str]:
    return {change.path for change in mistake.changes if isinstance(change, File)} - {TEST}


def _batches() -> list[list[Mistake]]:
    """Mistakes that can be made in one project: no two of a batch add the same module."""
    batches: list[list[Mistake]] = []
    for mistake in filter(can_share, MISTAKES):
        for batch in batches:
            if not any(_modules(mistake) & _modules(other) for other in batch):
                batch.append(mistake)
                break
        else:
            batches.append([mistake])
    return batches


BATCHES = _batches()


def _changes(batch: Sequence[Mistake]) -> Iterator[Change]:
    for number, mistake in enumerate(batch):
        for change in mistake.changes:
            if isinstance(change, File) and change.path == TEST:
                yield File(_guilty(number), change.text)
            else:
                yield change
    for number in range(len(batch) + 1):
        yield File(_innocent(number), INNOCENT)


def _guilty(number: int) -> str:
    return f"tests/test_mistake_{number}.py"


def _innocent(number: int) -> str:
    return f"tests/test_innocent_{number}.py"


@pytest.mark.parametrize("order", ["as written", "shuffled"])
@pytest.mark.parametrize("batch", BATCHES, ids=map(str, range(len(BATCHES))))
def test_only_the_guilty_fail(changed: MakeChanged, url: str, batch: list[Mistake], order: str) -> None:
    project = changed({}, list(_changes(batch)))
    files = chain.from_iterable((_innocent(number), _guilty(number)) for number in range(len(batch)))
    how = ["no:randomly"] if order == "as written" else ["randomly", "--randomly-seed=3"]

    outcome = project.pytest(*files, _innocent(len(batch)), "-p", *how, TEST_DATABASE_URL=url)

    guilty = {_guilty(number): mistake for number, mistake in enumerate(batch)}
    assert {name.partition("::")[0] for name in outcome.failed} == guilty.keys(), outcome.output
    for name, text in outcome.failed.items():
        file = name.partition("::")[0]
        mistake, said = guilty[file], text.replace(file, TEST)
        if isinstance(mistake.caught_by, Guarded):
            assert said.startswith(f"guard {mistake.caught_by.guard}: "), said
        assert [words for words in mistake.words if words not in said] == [], said
    assert len(outcome.passed) >= 4 * (len(batch) + 1), outcome.output


def test_most_guards_are_tried_so() -> None:
    tried = [mistake.caught_by for batch in BATCHES for mistake in batch]

    assert len({by for by in tried if isinstance(by, Guarded)}) >= 12
    assert len(tried) >= 35
