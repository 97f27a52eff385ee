"""`--query-report`: which tests send most, in one process and from workers; nothing where it is not asked for."""

import re

import pytest

from tests.harness.sample import Outcome, Sample

TESTS = """
import pytest
from httpx import AsyncClient
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

async def send(session: AsyncSession, number: int) -> None:
    for _ in range(number):
        await session.execute(text("SELECT 1"))

@pytest.fixture
async def three(anyio_backend: str, db_session: AsyncSession) -> None:
    await send(db_session, 3)

async def test_one(db_session: AsyncSession) -> None:
    await send(db_session, 1)

async def test_seven(three: None, db_session: AsyncSession) -> None:
    await send(db_session, 4)

async def test_two_and_a_session_of_the_application(client: AsyncClient) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201

@pytest.mark.own_database
async def test_five(db_session: AsyncSession) -> None:
    await send(db_session, 5)

async def test_four_of_which_one_fails(db_session: AsyncSession, engine: AsyncEngine) -> None:
    await send(db_session, 3)
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError):
            await connection.execute(text("SELECT 1 / 0"))

@pytest.mark.parametrize("name", ["x" * 100])
async def test_six_and_a_long_name(db_session: AsyncSession, name: str) -> None:
    await send(db_session, 6)

def test_none() -> None: ...
"""

# Statements, those of transactions, and the test.
ROWS = [
    (7, 0, "tests/test_a.py::test_seven"),
    (6, 0, f"...{'x' * 60}]"),
    (5, 0, "tests/test_a.py::test_five"),
    (4, 0, "tests/test_a.py::test_four_of_which_one_fails"),
    (2, 0, "tests/test_a.py::test_two_and_a_session_of_the_application"),
    (1, 0, "tests/test_a.py::test_one"),
]


def lines(outcome: Outcome) -> list[str]:
    """The lines of the report, from its heading to its total."""
    assert outcome.code == 0, outcome.output
    _, found, rest = outcome.output.partition("query report: ")
    assert found, outcome.output
    return rest[: rest.index("(total)") + len("(total)")].splitlines()


def rows(outcome: Outcome) -> list[tuple[int, int, str]]:
    """Its rows, without the times."""
    matches = [re.fullmatch(r" *(\d+) +(\d+) +\d+\.\d  (.+)", line) for line in lines(outcome)[2:]]
    return [(int(match[1]), int(match[2]), match[3]) for match in matches if match]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_tests_that_send_most_come_first(sample: Sample, workers: str) -> None:
    sample.write("tests/test_a.py", TESTS)

    # So that migrations run, which an earlier run may have spared this one.
    outcome = sample.pytest("-n", workers, "--query-report", "--create-db")

    heading, columns, *printed = lines(outcome)
    assert heading.startswith("6 of 6 tests, most statements first =")
    assert columns.split() == ["statements", "transaction", "ms", "test"]
    *tests, shared, total = rows(outcome)
    assert tests == ROWS
    # The migrations, which are no test's, though the first test waits for them.
    assert shared[0] > 0
    assert shared[2] == "(shared fixtures)"
    assert total == (sum(row[0] for row in [*tests, shared]), sum(row[1] for row in [*tests, shared]), "(total)")
    assert max(map(len, printed)) == 100
    assert len({re.search(r"\d\.\d  ", line).end() for line in printed}) == 1  # type: ignore[union-attr]  # rows() did


def test_another_number_of_tests(sample: Sample) -> None:
    sample.write("tests/test_a.py", TESTS)

    outcome = sample.pytest("--query-report=2")

    assert lines(outcome)[0].startswith("2 of 6 tests,")
    *tests, shared, total = rows(outcome)
    assert tests == ROWS[:2]
    assert total[0] - shared[0] == sum(row[0] for row in ROWS)


def test_nothing_where_it_is_not_asked_for(sample: Sample) -> None:
    sample.write("tests/test_a.py", TESTS)

    outcome = sample.pytest("--junit-xml=report.xml")

    assert "7 passed" in outcome.output, outcome.output
    assert "query report" not in outcome.output
    assert "query_report" not in (sample.folder / "report.xml").read_text()


@pytest.mark.parametrize("number", ["tests", "0", "-1"])
def test_what_is_no_number_of_tests(sample: Sample, number: str) -> None:
    outcome = sample.pytest(f"--query-report={number}")

    assert outcome.code != 0
    assert f"'{number}' is not a number of tests. Before a path, write --query-report=20" in outcome.output
