"""Connections of drivers that the startup opens and keeps: what a test writes by them is refused, and never stays."""

import pytest

from tests.harness.sample import Sample

LIFESPAN = """
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import psycopg
import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sample.main import create_app
from sample.settings import Settings
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

DSN = "postgresql://nobody@localhost:1/nowhere"
MODES = ["savepoint", pytest.param("own", marks=pytest.mark.own_database)]
DRIVERS = ["asyncpg", "asyncpg_pool", "psycopg", "psycopg_async"]

def insert(email: str) -> str:
    return f"INSERT INTO users (email) VALUES ('{email}')"

Writers = dict[str, Callable[[str], Awaitable[object]]]

@asynccontextmanager
async def kept(is_autocommit: bool) -> AsyncIterator[Writers]:
    raw = await asyncpg.connect(DSN)
    awaited = await psycopg.AsyncConnection.connect(DSN, autocommit=is_autocommit)
    waited = psycopg.connect(DSN, autocommit=is_autocommit)
    pool = await asyncpg.create_pool(DSN, min_size=1, max_size=2)

    async def by_psycopg_async(email: str) -> None:
        async with awaited.transaction():
            await awaited.execute(insert(email))
        await awaited.commit()

    async def by_psycopg(email: str) -> None:
        with waited.transaction():
            waited.execute(insert(email))
        waited.commit()

    async def by_asyncpg(email: str) -> None:
        if is_autocommit:
            await raw.execute(insert(email))
        else:
            async with raw.transaction():
                await raw.fetchval(insert(email))

    yield {
        "asyncpg": by_asyncpg,
        "asyncpg_pool": lambda email: pool.execute(insert(email)),
        "psycopg": by_psycopg,
        "psycopg_async": by_psycopg_async,
    }
    await pool.close()
    await raw.close()
    await awaited.close()
    waited.close()

@pytest.fixture(scope="session")
def app(settings: Settings) -> FastAPI:
    app = create_app(settings)
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        async with inner(app) as state, kept(AUTOCOMMIT) as writers:
            app.state.writers, app.state.errors, app.state.jobs = writers, [], asyncio.Queue()
            task = asyncio.create_task(work(app, writers))
            yield state
            task.cancel()
            await asyncio.wait([task])
            for driver, write in writers.items():
                await write(f"shutdown of {driver}")
            print("The shutdown has written")

    app.router.lifespan_context = lifespan

    @app.post("/kept/{driver}")
    async def by_a_route(driver: str) -> None:
        await app.state.writers[driver]("route")

    return app

async def work(app: FastAPI, writers: Writers) -> None:
    while True:
        driver, is_done = await app.state.jobs.get()
        try:
            await writers[driver](f"{driver} {len(app.state.errors)} {id(is_done)}")
        except Exception as error:
            app.state.errors.append(f"{driver}: {error}")
        is_done.set()

@pytest.mark.parametrize("mode", MODES)
async def test_before(client: AsyncClient, db_session: AsyncSession, mode: str) -> None:
    assert (await db_session.scalars(text("SELECT email FROM users"))).all() == []
"""

BY_ROUTES = (
    LIFESPAN
    + """
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("driver", DRIVERS)
async def test_route(client: AsyncClient, driver: str, mode: str) -> None:
    await client.post(f"/kept/{driver}")

test_after = test_before
"""
)

BY_TASKS = (
    LIFESPAN
    + """
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("driver", DRIVERS)
async def test_task(client: AsyncClient, app: FastAPI, driver: str, mode: str) -> None:
    app.state.errors.clear()
    is_current = (driver, mode) == ("asyncpg_pool", "own")
    expected = [] if is_current else [f"{driver}: cannot execute INSERT in a read-only transaction"] * 2
    # Twice: a pool resets the settings of a connection that is returned.
    for _ in range(2):
        app.state.jobs.put_nowait((driver, is_done := asyncio.Event()))
        await is_done.wait()
    assert [error.strip() for error in app.state.errors] == expected

test_after = test_before
"""
)


BOTH = pytest.mark.parametrize("autocommit", [True, False])


@BOTH
def test_a_route(sample: Sample, autocommit: bool) -> None:
    sample.write("tests/test_a.py", BY_ROUTES.replace("AUTOCOMMIT", str(autocommit)))

    outcome = sample.pytest("-p", "no:randomly", "-s")

    # Two modes of four connections; only the pool connects to the test's own database.
    assert "7 failed, 5 passed in " in outcome.output, outcome.output
    assert outcome.output.count("the lifespan has opened is used in a test (tests/test_a.py:") == 6, outcome.output
    assert outcome.output.count("A connection was requested directly from asyncpg (tests/test_a.py:") == 1
    assert "The shutdown has written" in outcome.output


@BOTH
def test_a_task(sample: Sample, autocommit: bool) -> None:
    sample.write("tests/test_a.py", BY_TASKS.replace("AUTOCOMMIT", str(autocommit)))

    outcome = sample.pytest("-p", "no:randomly", "-s")

    assert "= 12 passed in " in outcome.output, outcome.output
    assert "The shutdown has written" in outcome.output
