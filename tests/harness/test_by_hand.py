"""Direct connections of a project: redirected to the test's database, or refused with the place and what to write."""

from harness.postgres.server import Server

from tests.harness.sample import Sample

# As in a service that uses LISTEN, COPY or a job queue in PostgreSQL.
JOBS = """
import asyncpg

DSN = "postgresql://postgres@/precious?host=HOST"

async def emails() -> list[str]:
    connection = await asyncpg.connect(DSN)
    try:
        return [row["email"] for row in await connection.fetch("SELECT email FROM users")]
    finally:
        await connection.close()
"""

TESTS = """
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from httpx import AsyncClient
from sample.jobs import DSN, emails
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

@pytest.fixture
async def by_a_fixture(anyio_backend: str) -> list[str]:
    return await emails()

@pytest.mark.own_database
async def test_own(client: AsyncClient) -> None:
    await client.post("/users", json={"email": "ada@example.com"})
    assert await emails() == ["ada@example.com"]
    with psycopg.connect(DSN) as connection:
        connection.execute("DELETE FROM users")
    assert await emails() == []

@pytest.mark.own_database
async def test_creator(client: AsyncClient) -> None:
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(DSN))
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO users (email) VALUES ('grace@example.com')"))
    engine.dispose()
    assert await emails() == ["grace@example.com"]

async def test_savepoint(client: AsyncClient) -> None:
    await emails()

async def test_in_a_fixture(client: AsyncClient, by_a_fixture: list[str]) -> None: ...

def test_without_a_fixture() -> None:
    psycopg.connect(DSN)
"""

WITH_A_POOL = """
import asyncpg
import pytest
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fastapi import FastAPI, Request
from httpx import AsyncClient
from sample.jobs import DSN
from sample.main import create_app
from sample.settings import Settings
from sqlalchemy.ext.asyncio import AsyncSession

@pytest.fixture(scope="session")
def app(settings: Settings) -> FastAPI:
    app = create_app(settings)
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[object]:
        async with inner(app) as state, asyncpg.create_pool(DSN, min_size=2) as pool:
            assert await pool.fetchval("SELECT count(*) FROM users") == 0
            app.state.pool = pool
            yield state
            assert await pool.fetchval("SELECT count(*) FROM users") == 0

    app.router.lifespan_context = lifespan

    @app.get("/emails")
    async def emails(request: Request) -> list[str]:
        return [row["email"] for row in await request.app.state.pool.fetch("SELECT email FROM users")]

    return app

@pytest.mark.own_database
@pytest.mark.parametrize("email", ["ada@example.com", "grace@example.com"])
async def test_own(client: AsyncClient, email: str) -> None:
    await client.post("/users", json={"email": email})
    assert (await client.get("/emails")).json() == [email]

async def test_other(client: AsyncClient) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201

async def test_savepoint(client: AsyncClient) -> None:
    await client.get("/emails")
"""


WITH_A_LISTENER = """
import asyncpg
import pytest
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fastapi import FastAPI
from httpx import AsyncClient
from sample.jobs import DSN
from sample.main import create_app
from sample.settings import Settings

@pytest.fixture(scope="session")
def app(settings: Settings) -> FastAPI:
    app = create_app(settings)
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[object]:
        async with inner(app) as state:
            listening = await asyncpg.connect(DSN)
            await listening.add_listener("jobs", lambda *_: None)
            yield state
            await listening.close()
            await (await asyncpg.connect(DSN)).close()

    app.router.lifespan_context = lifespan
    return app

def test_in_its_middle(anyio_backend: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("running_app")

async def test_a_user(client: AsyncClient) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201
"""

BY_THE_SERVER = """
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from tests.harness import Migrations
from tests.harness.database.server import Server
from tests.harness.transaction.refusals import IsolationError

def test_databases_of_others(postgres_server: Server, migrations: Migrations, engine: AsyncEngine) -> None:
    for name in ("postgres", "precious", str(engine.url.database)):
        with pytest.raises(IsolationError, match="in test_databases_of_others"):
            postgres_server.connect(name)
        with pytest.raises(IsolationError, match=name):
            postgres_server.url(name)
        with pytest.raises(IsolationError, match="empty_database_name"):
            migrations.downgrade(name)

def test_an_empty_database(postgres_server: Server, migrations: Migrations, empty_database_name: str) -> None:
    migrations.upgrade(empty_database_name)
    with postgres_server.connect(empty_database_name) as connection:
        connection.execute("SELECT count(*) FROM users")
    globals()["before"] = empty_database_name

@pytest.mark.own_database
async def test_the_database_of_the_test(
    postgres_server: Server, migrations: Migrations, engine: AsyncEngine, db_session: AsyncSession
) -> None:
    migrations.downgrade(str(engine.url.database), "base")
    migrations.upgrade(str(engine.url.database))
    with postgres_server.connect(str(engine.url.database)) as connection:
        connection.execute("INSERT INTO users (email) VALUES ('ada@example.com')")
    assert await db_session.scalar(text("SELECT count(*) FROM users")) == 1
    with pytest.raises(IsolationError):
        postgres_server.connect(before)
"""


def precious(sample: Sample, server: Server) -> None:
    """A developer's database on the same server, which the code of the project names."""
    with server.connect() as connection:
        connection.execute("DROP DATABASE IF EXISTS precious WITH (FORCE)")
        connection.execute("CREATE DATABASE precious")
    with server.connect("precious") as connection:
        connection.execute("CREATE TABLE users AS SELECT id, id || '' AS email FROM generate_series(1, 5) id")
    sample.write("src/sample/jobs.py", JOBS.replace("HOST", server.host))


def rows(server: Server) -> object:
    with server.connect("precious") as connection:
        return connection.execute("SELECT count(*) FROM users").fetchone()


def test_direct_connections_go_to_the_database_of_an_own_database_test(
    sample: Sample, server: Server, url: str
) -> None:
    precious(sample, server)
    sample.write("tests/test_a.py", TESTS)

    outcome = sample.pytest("-p", "no:randomly", TEST_DATABASE_URL=url)

    assert "2 failed, 2 passed, 1 error" in outcome.output, outcome.output
    assert rows(server) == (5,)
    line = len(TESTS.splitlines())
    for place in (
        "A connection was requested directly from asyncpg (src/sample/jobs.py:7, in emails)",
        f"A connection was requested directly from psycopg (tests/test_a.py:{line}, in test_without_a_fixture)",
    ):
        assert f"{place}. It would be outside of the test's transaction" in outcome.output
    assert outcome.output.count("Mark the test with @pytest.mark.own_database") >= 3


def test_a_pool_of_the_lifespan(sample: Sample, server: Server, url: str) -> None:
    precious(sample, server)
    sample.write("tests/test_a.py", WITH_A_POOL)

    outcome = sample.pytest("-p", "no:randomly", TEST_DATABASE_URL=url)

    assert "1 failed, 3 passed" in outcome.output, outcome.output
    assert "IsolationError: A connection was requested directly from asyncpg (tests/test_a.py:" in outcome.output
    assert rows(server) == (5,)


def test_a_connection_of_the_lifespan(sample: Sample, server: Server, url: str) -> None:
    precious(sample, server)
    sample.write("tests/test_a.py", WITH_A_LISTENER)

    outcome = sample.pytest("-p", "no:randomly", TEST_DATABASE_URL=url)

    assert "2 passed" in outcome.output, outcome.output
    assert rows(server) == (5,)


def test_connections_by_the_server(sample: Sample, server: Server, url: str) -> None:
    precious(sample, server)
    sample.write("tests/test_a.py", BY_THE_SERVER)

    outcome = sample.pytest("-p", "no:randomly", TEST_DATABASE_URL=url)

    assert "3 passed" in outcome.output, outcome.output
    assert rows(server) == (5,)
