"""Tests that take no fixture of the harness, and tests that run twice: isolated like any other, and nobody else's."""

import pytest

from tests.harness.sample import Sample

ENGINE = """
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

URL = "postgresql+asyncpg://nobody@localhost/nowhere"
"""

OF_THE_TEST = """
async def test_an_engine_of_the_test() -> None:
    engine = create_async_engine(URL)
    async with engine.connect() as connection:
        await connection.execute(text("CREATE TABLE written ()"))
        await connection.commit()
    await engine.dispose()
"""

OF_THE_MODULE = """
ENGINE = create_async_engine(URL)

async def test_an_engine_of_the_module() -> None:
    async with ENGINE.begin() as connection:
        await connection.execute(text("CREATE TABLE written ()"))
"""

AFTERWARDS = """
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

async def test_afterwards(client: AsyncClient, db_session: AsyncSession) -> None:
    assert (await client.get("/health")).status_code == 200
    assert await db_session.scalar(text("SELECT to_regclass('written')")) is None
"""


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("test", [OF_THE_TEST, OF_THE_MODULE], ids=["test", "module"])
def test_an_async_test_without_fixtures(sample: Sample, test: str, alone: bool) -> None:
    sample.write("tests/test_a.py", ENGINE + test + ("" if alone else AFTERWARDS))

    outcome = sample.pytest("-p", "no:randomly")

    assert f"== {1 if alone else 2} passed in " in outcome.output, outcome.output


def test_a_test_case_with_a_loop_of_its_own_is_refused_alone(sample: Sample) -> None:
    sample.write(
        "tests/test_a.py",
        f"""
import unittest
{ENGINE}
class TestCommand(unittest.IsolatedAsyncioTestCase):
    async def test_it(self) -> None:
        engine = create_async_engine(URL)
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
{AFTERWARDS}
async def test_once_more(client: AsyncClient) -> None:
    assert (await client.get("/health")).status_code == 200
""",
    )

    outcome = sample.pytest("-p", "no:randomly")

    assert "== 1 failed, 2 passed in " in outcome.output, outcome.output
    assert "an engine connects in another thread or event loop" in outcome.output


# What pytest-rerunfailures does.
TWICE = """
import pytest
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item: pytest.Function, nextitem: pytest.Item | None) -> bool:
    runtestprotocol(item, nextitem=item, log=False)
    item._initrequest()
    runtestprotocol(item, nextitem=nextitem)
    return True
"""

SWALLOWS = """
import asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

async def test_gathered(session_factory: async_sessionmaker[AsyncSession]) -> None:
    async def write(name: str) -> None:
        async with session_factory() as session:
            await session.execute(text(f"CREATE TABLE {name} ()"))
            await asyncio.sleep(0.01)
            await session.commit()

    await asyncio.gather(write("one"), write("two"), return_exceptions=True)
"""


def test_a_refusal_fails_each_run_of_a_test(sample: Sample) -> None:
    sample.write("twice.py", TWICE)
    sample.write("tests/test_a.py", SWALLOWS)

    once, again = sample.pytest(), sample.pytest("-p", "twice")

    assert "== 1 failed in " in once.output, once.output
    assert "== 1 failed in " in again.output, again.output


EXPECTED = """
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.harness.transaction.refusals import IsolationError

@pytest.fixture
async def commits(db_session: AsyncSession) -> None:
    await db_session.execute(text("COMMIT"))

@pytest.mark.xfail(reason="until it has a database of its own")
async def test_in_the_test(db_session: AsyncSession) -> None:
    await db_session.execute(text("COMMIT"))

@pytest.mark.xfail(reason="until it has a database of its own", raises=IsolationError)
async def test_in_a_fixture(commits: None) -> None: ...

@pytest.mark.xfail(reason="until it is mended", raises=LookupError)
async def test_another_error(db_session: AsyncSession) -> None:
    await db_session.execute(text("COMMIT"))
"""


def test_a_refusal_that_is_expected(sample: Sample) -> None:
    sample.write("tests/test_a.py", EXPECTED)

    outcome = sample.pytest("-p", "no:randomly")

    assert "== 1 failed, 2 xfailed in " in outcome.output, outcome.output
