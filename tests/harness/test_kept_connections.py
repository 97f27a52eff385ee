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
DRIVERS = ["asyncpg", "asyncpg_pool", "prepared", "psycopg", "psycopg_async", "executemany", "pipeline"]

def insert(email: str) -> str:
    return f"INSERT INTO users (email) VALUES ('{email}')"

Writers = dict[str, Callable[[str], Awaitable[object]]]

@asynccontextmanager
async def kept(is_autocommit: bool) -> AsyncIterator[Writers]:
    raw = await asyncpg.connect(DSN)
    awaited = await psycopg.AsyncConnection.connect(DSN, autocommit=is_autocommit)
    waited = psycopg.connect(DSN, autocommit=is_autocommit)
    pool = await asyncpg.create_pool(DSN, min_size=1, max_size=2)

    statement = await raw.prepare("INSERT INTO users (email) VALUES ($1)")

    async def by_executemany(email: str) -> None:
        async with awaited.transaction(), awaited.cursor() as cursor:
            await cursor.executemany("INSERT INTO users (email) VALUES (%s)", [(email,), (f"{email} again",)])
        await awaited.commit()

    async def by_pipeline(email: str) -> None:
        async with awaited.transaction(), awaited.pipeline():
            await awaited.execute(insert(email))
        await awaited.commit()

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
        "prepared": statement.fetch,
        "psycopg": by_psycopg,
        "executemany": by_executemany,
        "pipeline": by_pipeline,
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

    # Two modes of seven ways; only the pool connects to the test's own database.
    assert "13 failed, 5 passed in " in outcome.output, outcome.output
    assert (
        outcome.output.count(
            "the lifespan or a fixture with a wider scope has opened is used in a test (tests/test_a.py:"
        )
        == 12
    ), outcome.output
    assert outcome.output.count("A connection was requested directly from asyncpg (tests/test_a.py:") == 1
    assert "The shutdown has written" in outcome.output


@BOTH
def test_a_task(sample: Sample, autocommit: bool) -> None:
    sample.write("tests/test_a.py", BY_TASKS.replace("AUTOCOMMIT", str(autocommit)))

    outcome = sample.pytest("-p", "no:randomly", "-s")

    assert "= 18 passed in " in outcome.output, outcome.output
    assert "The shutdown has written" in outcome.output


FIXTURES = """
import asyncpg
import psycopg
import pytest
from collections.abc import AsyncIterator, Iterator
from httpx import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

DSN = "postgresql://nobody@localhost:1/nowhere"
INSERT = "INSERT INTO users (email) VALUES ('ada@example.com')"

@pytest.fixture(scope="module")
def waited(anyio_backend: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(DSN, autocommit=True) as connection:
        connection.execute("SELECT 1")
        yield connection
        connection.execute("SELECT 1")

@pytest.fixture(scope="module")
async def awaited(anyio_backend: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(DSN)
    await connection.fetch("SELECT 1")
    yield connection
    await connection.fetch("SELECT 1")
    await connection.close()

async def test_first(client: AsyncClient) -> None: ...

def test_psycopg(client: AsyncClient, waited: psycopg.Connection) -> None:
    waited.execute("BEGIN READ WRITE")
    waited.execute(INSERT)
    waited.execute("COMMIT")

@pytest.mark.own_database
async def test_asyncpg(client: AsyncClient, awaited: asyncpg.Connection) -> None:
    await awaited.execute("SET default_transaction_read_only = off")
    await awaited.execute(INSERT)

async def test_last(db_session: AsyncSession) -> None:
    assert await db_session.scalar(text("SELECT count(*) FROM users")) == 0
"""


def test_a_fixture_with_a_wider_scope(sample: Sample) -> None:
    sample.write("tests/test_a.py", FIXTURES)

    outcome = sample.pytest("-p", "no:randomly")

    assert "2 failed, 2 passed in " in outcome.output, outcome.output
    assert outcome.output.count("or a fixture with a wider scope has opened is used in a test (tests/test_a.py:") == 2


ENGINES = """
import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sample.main import create_app
from sample.settings import Settings
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

URL = "postgresql+{}://nobody@localhost:1/nowhere"
MODES = ["savepoint", pytest.param("own", marks=pytest.mark.own_database)]
ADA = {"email": "ada@example.com"}

@pytest.fixture(scope="session")
def app(settings: Settings) -> FastAPI:
    app = create_app(settings)
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        async with inner(app) as state:
            app.state.engine = engine = create_engine(URL.format("psycopg"))
            with engine.connect() as connection:
                connection.execute(text("SELECT 1"))
            asynchronous, other = create_async_engine(URL.format("asyncpg")), create_engine(URL.format("psycopg"))
            kept, separate = await asynchronous.connect(), other.connect()
            separate.execute(text("SELECT 1"))
            driver, app.state.read, stop = psycopg.connect(URL.format("x").replace("+x", "")), 0, threading.Event()
            driver.autocommit = True

            def read() -> None:
                driver.execute("SELECT 1")
                app.state.read += 1

            def poll() -> None:
                while not stop.wait(0.001):
                    read()

            async def submit() -> None:
                while True:
                    await asyncio.get_running_loop().run_in_executor(None, read)
                    await asyncio.sleep(0.001)

            thread, task = threading.Thread(target=poll), asyncio.create_task(submit())
            thread.start()
            yield state
            stop.set()
            thread.join()
            task.cancel()
            await asyncio.wait([task])
            await kept.close()
            await asynchronous.dispose()
            separate.close()
            other.dispose()
            engine.dispose()
            driver.close()

    app.router.lifespan_context = lifespan
    return app

@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("repeat", [1, 2])
async def test_beside_them(client: AsyncClient, app: FastAPI, mode: str, repeat: int) -> None:
    before = app.state.read
    while app.state.read < before + 5:
        await asyncio.sleep(0.001)
    assert (await client.post("/users", json=ADA)).status_code == 201

async def test_the_engine(client: AsyncClient, app: FastAPI) -> None:
    with app.state.engine.connect() as connection:
        connection.execute(text("SELECT 1"))

@pytest.mark.allow_guard("escaped_commit")
async def test_the_engine_is_allowed(client: AsyncClient, app: FastAPI) -> None:
    with app.state.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
"""


def test_tests_beside_engines_and_threads_of_the_lifespan(sample: Sample) -> None:
    """What they keep fails no test that does not use it; a test that allows their engine may use it."""
    sample.write("tests/test_a.py", ENGINES)

    outcome = sample.pytest("-p", "no:randomly")

    assert "1 failed, 5 passed in " in outcome.output, outcome.output
    assert "guard escaped_commit: a " in outcome.output
