"""A connection that outlives the event loop of `asyncio.run` fails the test that leaked it, and no other test."""

from tests.harness.sample import Sample

LEFT = """
import asyncio
import pytest
from httpx import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

ENGINE = create_async_engine("postgresql+asyncpg://somebody@nowhere/db")

async def command(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))

async def whole(engine: AsyncEngine) -> None:
    await command(engine)
    await engine.dispose()

@pytest.mark.own_database
def test_leaves_it(engine: AsyncEngine) -> None:
    asyncio.run(command(ENGINE))

@pytest.mark.own_database
async def test_leaves_it_in_a_thread(engine: AsyncEngine) -> None:
    await asyncio.to_thread(asyncio.run, command(ENGINE))

@pytest.mark.own_database
def test_disposes(engine: AsyncEngine) -> None:
    asyncio.run(whole(create_async_engine("postgresql+asyncpg://somebody@nowhere/db")))

@pytest.mark.own_database
async def test_awaits(engine: AsyncEngine) -> None:
    await whole(ENGINE)

async def test_next(client: AsyncClient) -> None:
    assert (await client.get("/health")).status_code == 200
"""


def test_the_test_that_leaks_a_connection_fails(sample: Sample) -> None:
    sample.write("tests/test_a.py", LEFT)

    outcome = sample.pytest("-p", "no:randomly")

    assert "2 failed, 3 passed" in outcome.output, outcome.output
    assert "FAILED tests/test_a.py::test_leaves_it " in outcome.output
    assert "FAILED tests/test_a.py::test_leaves_it_in_a_thread " in outcome.output
    line = "still open when asyncio.run() closed its event loop:\n  tests/test_a.py:11, in command\n"
    assert outcome.output.count(line) == 2
    assert "await engine.dispose()" in outcome.output
    assert "Warning" not in outcome.output
    assert "Traceback" not in outcome.output
