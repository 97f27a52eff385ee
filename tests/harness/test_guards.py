"""Guards: what they measure by can be set, and a setting that says nothing is refused in a line."""

import re

import pytest

from tests.harness.sample import Sample

LOOKS = """
from httpx import AsyncClient
from fastapi import FastAPI
from sample.deps import Db
from sample.models import User

async def test_three_looks(client: AsyncClient, app: FastAPI) -> None:
    @app.get("/looks")
    async def looks(db: Db) -> None:
        for id in range(3):
            await db.get(User, id)

    await client.get("/looks")
"""


@pytest.mark.parametrize(("limit", "passes"), [("3", False), ("4", True)])
def test_how_often_one_select_is_too_often(sample: Sample, limit: str, passes: bool) -> None:
    sample.write("tests/test_a.py", LOOKS)

    outcome = sample.pytest("-o", f"savepoint_n_plus_one_threshold={limit}")

    assert ("1 passed" in outcome.output) is passes, outcome.output
    assert ("guard n_plus_one: GET /looks sent the same SELECT 3 times" in outcome.output) is not passes
    assert ("tests/test_a.py:11, in looks" in outcome.output) is not passes


# The order is that of the file. The folder of `written` is not the project's: its modules are a library's.
ENVIRONMENT = """
import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest
from sample import currencies

@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    def write(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(f"import os; {text}")
        __import__(name)
    monkeypatch.syspath_prepend(str(tmp_path))
    return write

@pytest.fixture
def read_at_the_end() -> Iterator[None]:
    yield
    assert currencies.currency() == "eur"

@pytest.fixture
def cleared(read_at_the_end: None) -> Iterator[None]:
    yield
    currencies.currency.cache_clear()

def test_cleared_and_read_again(cleared: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFAULT_CURRENCY", "chf")
    assert currencies.currency() == "chf"

def test_red_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFAULT_CURRENCY", "chf")
    assert currencies.currency() == "chf"

def test_the_cache_is_cleared() -> None:
    assert [currencies.currency() for _ in range(3)] == ["eur"] * 3

def test_red_cache_cleared_before_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    currencies.currency.cache_clear()
    monkeypatch.setenv("DEFAULT_CURRENCY", "chf")
    assert currencies.currency() == "chf"

def test_the_cache_is_cleared_again() -> None:
    assert currencies.currency() == "eur"
    assert "cache_clear" not in vars(currencies.currency)

def test_a_new_variable(written) -> None:
    written("first_of_us", "os.environ['NUMBERS_THREADS'] = '1'")
    assert currencies.currency() == "eur"

def test_a_variable_that_was_there(written) -> None:
    written("second_of_us", "os.environ['PATH'] += ':/nowhere'")
    assert currencies.currency() == "eur"

def test_it_stays() -> None:
    assert os.environ["NUMBERS_THREADS"] == "1"
    assert os.environ["PATH"].endswith(":/nowhere")

def test_red() -> None:
    os.environ["NUMBERS_THREADS"] = "2"

def test_it_is_as_the_library_has_set_it() -> None:
    assert os.environ["NUMBERS_THREADS"] == "1"

def test_monkeypatch_before_the_import(written, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as context:
        context.setenv("OTHER_THREADS", "7")
        written("third_of_us", "os.environ['OTHER_THREADS'] = '1'")
    assert "OTHER_THREADS" not in os.environ
"""
CURRENCIES = """
import os
from functools import lru_cache

@lru_cache
def currency() -> str:
    return os.environ.get("DEFAULT_CURRENCY", "eur")
"""


def test_only_what_a_test_leaves_changed_fails(sample: Sample) -> None:
    sample.write("src/sample/currencies.py", CURRENCIES)
    sample.write("tests/test_a.py", ENVIRONMENT)

    outcome = sample.pytest("-p", "no:randomly")

    failed = set(re.findall(r"^(?:FAILED|ERROR) tests/test_a.py::(\w+)", outcome.output, re.M))
    assert failed == {"test_red", "test_red_cache", "test_red_cache_cleared_before_alone"}, outcome.output
    assert "did not restore them: NUMBERS_THREADS." in outcome.output
    assert "sample.currencies.currency cached a result while" in outcome.output
