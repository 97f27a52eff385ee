"""A statement that times out while waiting for a lock names the transactions that are open, mostly the test's own."""

import pytest

from tests.harness.sample import Sample

# The application sets a limit of its own, which is shorter than the harness's.
TESTS = """
import psycopg
import pytest
from sample.models import User
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

WAIT = "SET LOCAL lock_timeout = '300ms'"
INSERT = "INSERT INTO users (email) VALUES ('ada@example.com')"

@pytest.mark.own_database
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_wait(engine: AsyncEngine, db_session: AsyncSession, driver: str) -> None:
    other = create_async_engine(engine.url.set(drivername=f"postgresql+{driver}"))
    db_session.add(User(email="ada@example.com"))
    await db_session.flush()
    try:
        async with other.begin() as connection:
            await connection.execute(text(WAIT))
            await connection.execute(text(INSERT))
    finally:
        await other.dispose()

@pytest.mark.own_database
async def test_another(engine: AsyncEngine, db_session: AsyncSession) -> None:
    with psycopg.connect("postgresql://nobody@localhost/nowhere") as holder:
        holder.execute(INSERT)
        await db_session.execute(text(WAIT))
        await db_session.execute(text(INSERT))
"""


def test_the_holder_is_named(sample: Sample) -> None:
    sample.write("tests/test_a.py", TESTS)
    [line] = [number for number, text in enumerate(TESTS.splitlines(), 1) if "db_session.flush()" in text]

    outcome = sample.pytest("-p", "no:randomly")

    heading = "The statement timed out while waiting for a lock. Open transactions:\n"
    assert "3 failed" in outcome.output, outcome.output
    assert outcome.output.count(heading) == 3, outcome.output
    held = f"- a checked-out connection (tests/test_a.py:{line}, in test_wait), idle in transaction; last statement: "
    assert outcome.output.count(f"{held}INSERT INTO users (email) VALUES (") == 2, outcome.output
    assert outcome.output.count("- another connection, idle in transaction; last statement: INSERT INTO users") == 1
    assert outcome.output.count("e.g. `await db_session.commit()`") == 3


@pytest.mark.parametrize("statement", ["SELECT 1 / 0", "LOCK TABLE users NOWAIT"])
def test_another_error_names_nobody(sample: Sample, statement: str) -> None:
    """A statement with NOWAIT has not waited, although its error has the same code."""
    sample.write(
        "tests/test_a.py",
        TESTS.replace("await connection.execute(text(INSERT))", f'await connection.execute(text("{statement}"))'),
    )

    outcome = sample.pytest("-k", "test_wait")

    assert "2 failed" in outcome.output, outcome.output
    assert "Open transactions" not in outcome.output
