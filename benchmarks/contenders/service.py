"""The service without the harness: what every other contender's conftest begins with.

A database of the run's own, its schema, the application with its lifespan, and a client: all but isolation.
"""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from pydantic import SecretStr

# The project that is measured exists while it is measured.
from sample.main import create_app  # type: ignore[import-not-found]
from sample.settings import Settings  # type: ignore[import-not-found]
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from .address import METADATA, SERVER, url

DATABASE = f"contender_{os.getpid()}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("postgres_version", "The harness's, which stands in the rendered pyproject.toml.")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The same event loop's library as the harness's."""
    return "asyncio"


@pytest.fixture(scope="session")
def database() -> Iterator[str]:
    """The name of an empty database, for this run."""
    with closing(psycopg.connect(host=str(SERVER.query["host"]), user=SERVER.username, autocommit=True)) as admin:
        admin.execute(f"CREATE DATABASE {DATABASE} TEMPLATE template0")
        yield DATABASE
        admin.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


@pytest.fixture(scope="session")
def app(database: str) -> FastAPI:
    """The application, on that database."""
    settings = Settings(_env_file=None, database_url=SecretStr(url(database).render_as_string(hide_password=False)))
    app: FastAPI = create_app(settings)
    return app


@pytest.fixture(scope="session")
async def state(anyio_backend: str, app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """What the lifespan yields, once per run; it also holds the event loop open, as the harness does."""
    async with app.router.lifespan_context(app) as state:
        yield dict(state or {})


@pytest.fixture(scope="session")
def session_factory(state: dict[str, Any]) -> async_sessionmaker[AsyncSession]:
    """The application's own, with its own pool."""
    factory: async_sessionmaker[AsyncSession] = state["session_factory"]
    return factory


@pytest.fixture(scope="session")
def app_engine(session_factory: async_sessionmaker[AsyncSession]) -> AsyncEngine:
    """The application's own engine."""
    engine: AsyncEngine = session_factory.kw["bind"]
    return engine


@pytest.fixture(scope="session")
async def schema(app_engine: AsyncEngine) -> None:
    """All tables, once per run."""
    async with app_engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)


@pytest.fixture
async def client(anyio_backend: str, app: FastAPI, state: dict[str, Any]) -> AsyncIterator[AsyncClient]:
    """A client for one test, as the harness's: in this process, with the lifespan's state."""

    async def with_state(scope: Any, receive: Any, send: Any) -> None:
        scope["state"] = state.copy()
        await app(scope, receive, send)

    async with AsyncClient(transport=ASGITransport(with_state), base_url="http://test") as client:
        yield client
