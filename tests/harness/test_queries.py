"""`queries`: which statements count, and the message of a test that sends too many."""

import re

import pytest

from tests.harness.sample import Outcome, Sample

# An application that reads rows one by one.
LOOP = """
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sample.models import User

async def emails(session: AsyncSession) -> list[str]:
    ids = (await session.scalars(select(User.id))).all()
    found = []
    for id in ids:
        found.append(await session.scalar(select(User.email).where(User.id == id)))
    return found
"""

HEAD = """
import pytest
from httpx import AsyncClient
from sample.loop import emails
from sample.models import User
from sqlalchemy import Engine, create_engine, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from tests.factories import UserFactory
from tests.harness import Create, Queries, RunningApp

ADA = {"email": "ada@example.com"}
"""

RIGHT = """
@pytest.mark.parametrize("where", ["savepoint", pytest.param("own", marks=pytest.mark.own_database)])
async def test_a_request_counts_the_same_everywhere(client: AsyncClient, queries: Queries, where: str) -> None:
    with queries.exactly(2):
        await client.post("/users", json=ADA)

async def test_as_many_as_are_allowed(client: AsyncClient, queries: Queries) -> None:
    with queries.at_most(2):
        await client.post("/users", json=ADA)
    with queries.at_most(3):
        await client.get("/users/1")

async def test_nothing_counts_outside_of_the_block(create: Create, engine: AsyncEngine, queries: Queries) -> None:
    listeners = engine.sync_engine.dispatch.before_cursor_execute
    before = list(listeners)
    await create(UserFactory)
    with queries.recorded() as statements:
        assert len(list(listeners)) == len(before) + 1
    await create(UserFactory)
    assert statements == []
    assert list(listeners) == before

async def test_the_tests_own_statements_count_inside(create: Create, queries: Queries) -> None:
    with queries.exactly(1):
        await create(UserFactory)

async def test_blocks_nest(client: AsyncClient, queries: Queries) -> None:
    with queries.exactly(3):
        await client.get("/users/1")
        with queries.exactly(2):
            await client.get("/users/1")
            await client.get("/users/2")

async def test_savepoints_of_the_test_do_not_count(db_session: AsyncSession, queries: Queries) -> None:
    with queries.exactly(1):
        async with db_session.begin_nested():
            await db_session.execute(select(User))

async def test_many_rows_at_once_are_one_statement(db_session: AsyncSession, queries: Queries) -> None:
    with queries.exactly(1):
        await db_session.execute(insert(User), [{"email": f"{number}@example.com"} for number in range(5)])
    with queries.exactly(1):
        db_session.add_all([UserFactory.build() for _ in range(5)])
        await db_session.flush()

async def test_a_statement_that_fails_counts(engine: AsyncEngine, queries: Queries) -> None:
    async with engine.connect() as connection:
        with queries.exactly(1):
            with pytest.raises(DBAPIError):
                await connection.execute(text("SELECT 1 / 0"))

async def test_what_the_block_raises_is_raised(db_session: AsyncSession, queries: Queries) -> None:
    with pytest.raises(KeyError):
        with queries.exactly(0):
            await db_session.execute(select(User))
            raise KeyError

@pytest.mark.own_database
def test_a_test_that_is_not_async(running_app: RunningApp, queries: Queries) -> None:
    engine = create_engine("postgresql+psycopg://nobody@localhost/nowhere")
    with queries.exactly(1) as statements, engine.connect() as connection:
        connection.execute(select(User))
    engine.dispose()
    assert statements[0].place.endswith("in test_a_test_that_is_not_async")

@pytest.mark.own_database
async def test_what_a_new_connection_asks_for_itself_does_not_count(client: AsyncClient, queries: Queries) -> None:
    with queries.recorded() as statements:
        await client.get("/users/1")
    [statement] = statements
    assert statement.sql.startswith("SELECT users.id, ")
    assert statement.sql.endswith(" FROM users WHERE users.id = $1::BIGINT")
    assert statement.place.startswith("src/sample/users.py:")
    assert statement.place.endswith(", in get_user")
"""


def write(sample: Sample, tests: str) -> None:
    sample.write("src/sample/loop.py", LOOP)
    sample.write("tests/test_a.py", HEAD + tests)


def message(outcome: Outcome) -> list[str]:
    """pytest's lines of the one failure, without what it puts before each: an E, and the indent of the code."""
    [before] = re.findall(r"^(E +)Failed: expected", outcome.output, re.M)
    return [line.removeprefix(before) for line in outcome.output.splitlines() if line.startswith(before)]


def test_what_counts(sample: Sample) -> None:
    write(sample, RIGHT)

    outcome = sample.pytest()

    assert "12 passed" in outcome.output, outcome.output


@pytest.mark.parametrize("mark", ["", "@pytest.mark.own_database"])
def test_a_query_in_a_loop_is_named_once_with_its_repetitions(sample: Sample, mark: str) -> None:
    test = """
async def test_emails(create: Create, session_factory: async_sessionmaker[AsyncSession], queries: Queries) -> None:
    for _ in range(12):
        await create(UserFactory)
    async with session_factory() as session:
        with queries.at_most(3):
            await emails(session)
"""
    write(sample, f"{mark}{test}")

    outcome = sample.pytest()

    assert message(outcome) == [
        "Failed: expected at most 3 statements, and 13 were sent:",
        "      SELECT users.id FROM users",
        "        src/sample/loop.py:7, in emails",
        "  12× SELECT users.email FROM users WHERE users.id = $1::BIGINT",  # noqa: RUF001 - as it is printed
        "        src/sample/loop.py:10, in emails",
    ]
    # The traceback shows the block, not the harness or a library.
    assert ">           with queries.at_most(3):" in outcome.output
    assert "queries.py:" not in outcome.output
    assert "contextlib.py" not in outcome.output


def test_exactly_fails_with_too_few_statements(sample: Sample) -> None:
    write(
        sample,
        """
async def test_user(client: AsyncClient, queries: Queries) -> None:
    with queries.exactly(2):
        await client.get("/users/1")
""",
    )

    heading, statement, place = message(sample.pytest())

    assert heading == "Failed: expected exactly 2 statements, and 1 was sent:"
    assert statement.startswith("      SELECT users.id, ")
    assert statement.endswith(" FROM users WHERE users.id = $1::BIGINT")
    assert re.fullmatch(r" {8}src/sample/users\.py:\d+, in get_user", place)


def test_no_statement(sample: Sample) -> None:
    write(sample, "def test_nothing(queries: Queries) -> None:\n    with queries.exactly(1):\n        pass\n")

    assert message(sample.pytest()) == ["Failed: expected exactly 1 statement, and none was sent."]


def test_a_message_is_short_and_contains_no_parameters(sample: Sample) -> None:
    write(
        sample,
        """
async def test_lists(db_session: AsyncSession, queries: Queries) -> None:
    with queries.at_most(0):
        for number in (1, 2, 3):
            await db_session.execute(select(User.id).where(User.email.in_(["s3cret"] * number)))
        db_session.add_all([User(email=f"s3cret{number}@example.com") for number in range(50)])
        await db_session.flush()
""",
    )

    outcome = sample.pytest()

    heading, select, _, insert, _ = message(outcome)
    assert heading == "Failed: expected at most 0 statements, and 4 were sent:"
    assert select == "   3× SELECT users.id FROM users WHERE users.email IN (...)"  # noqa: RUF001 - as it is printed
    assert insert.startswith("      INSERT INTO users (email) SELECT")
    assert insert.endswith("...")
    assert len(insert) < 320
    assert "s3cret1" not in "".join(message(outcome))
