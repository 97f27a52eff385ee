"""Projects to make mistakes in: rendered and installed once per worker and set of answers."""

import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from tests.environment import Project, synced
from tests.mistakes.catalogue import Change
from tests.mistakes.families import MISTAKES, RIGHT
from tests.mistakes.project import Changed, Outcome
from tests.mistakes.together import Batch, Entry, batches
from tests.rendering import Render

BATCHES = [*batches("mistakes", MISTAKES), *batches("right", RIGHT)]

MakeChanged = Callable[[dict[str, object], Sequence[Change]], Changed]
Run = Callable[..., Outcome]


def batch_of(entry: Entry) -> Batch | None:
    """The batch that an entry is made in, if it is not made alone."""
    return next((batch for batch in BATCHES if entry in batch.entries), None)


def each(entries: Sequence[Entry]) -> pytest.MarkDecorator:
    """A test for each entry, those of a batch on one worker."""
    grouped = {
        entry.name: [pytest.mark.xdist_group(batch.name)] if (batch := batch_of(entry)) else [] for entry in entries
    }
    return pytest.mark.parametrize(
        "entry", [pytest.param(entry, id=entry.name, marks=grouped[entry.name]) for entry in entries]
    )


@pytest.fixture(scope="session")
def variants(render: Render, environments: Path, default_python: Path) -> Callable[[dict[str, object]], Project]:
    """`variants({"auth": False})`: the project of these answers, in an environment of its own."""
    made: dict[str, Project] = {}

    def variant(answers: dict[str, object]) -> Project:
        key = sha256(json.dumps(answers, sort_keys=True).encode()).hexdigest()[:8]
        if key not in made:
            folder = render.copy(environments / f"mistakes-{key}", package_name="shop", **answers)
            made[key] = synced(folder, environments / f"mistakes-{key}-environment", default_python)
        return made[key]

    return variant


@pytest.fixture
def changed(variants: Callable[[dict[str, object]], Project], tmp_path: Path) -> MakeChanged:
    """`changed(answers, changes)`: a copy of that project with these changes."""
    return lambda answers, changes: Changed.of(variants(answers), tmp_path / "shop", changes)


@pytest.fixture(scope="session")
def run_batch(
    variants: Callable[[dict[str, object]], Project], url: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Batch, Sequence[Entry], Sequence[str]], Outcome]:
    """`run_batch(batch, entries, options)`: one run of the tests of these entries, however often it is asked for."""
    projects: dict[str, Changed] = {}
    outcomes: dict[tuple[str, ...], Outcome] = {}

    def run(batch: Batch, entries: Sequence[Entry], options: Sequence[str]) -> Outcome:
        if batch.name not in projects:
            folder = tmp_path_factory.mktemp("batch") / "shop"
            projects[batch.name] = Changed.of(variants({}), folder, batch.changes)
        arguments = (*batch.tests(entries), *options)
        if (key := (batch.name, *arguments)) not in outcomes:
            outcomes[key] = projects[batch.name].pytest(*arguments, TEST_DATABASE_URL=url)
        return outcomes[key]

    return run


@pytest.fixture
def tests_of(
    changed: MakeChanged, run_batch: Callable[[Batch, Sequence[Entry], Sequence[str]], Outcome], url: str
) -> Callable[[Entry], Run]:
    """`tests_of(entry)(*options)`: the entry is made, alone or in its batch, and its tests are run."""

    def tests_of(entry: Entry) -> Run:
        if batch := batch_of(entry):
            # With an option, such as a guard that is off, only those that it concerns.
            alike = batch.alike(entry)
            return lambda *options: batch.outcome(entry, run_batch(batch, alike if options else batch.entries, options))
        project = changed(entry.answers, entry.changes)
        return lambda *options: project.pytest(*entry.tests, *options, TEST_DATABASE_URL=url)

    return tests_of
