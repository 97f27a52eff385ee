"""pytest-postgresql's way: its template database, filled once, and a clone of it for each test, dropped after it.

The application's sessions are bound to an engine on the clone, without a pool, as its documentation shows.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pytest_postgresql import factories  # type: ignore[import-not-found]  # in the measured environment alone
from sqlalchemy import NullPool, create_engine
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from .address import METADATA, SERVER, url

pytest_plugins = ["tests.service"]


def create_schema(dbname: str, **address: Any) -> None:
    engine = create_engine(url(dbname, "psycopg"), poolclass=NullPool)
    METADATA.create_all(engine)


server = factories.postgresql_noproc(
    host=SERVER.query["host"], port=5432, user=SERVER.username, dbname="pytest_postgresql", load=[create_schema]
)
clone = factories.postgresql("server")


@pytest.fixture(autouse=True)
async def bound(
    anyio_backend: str, clone: Any, session_factory: async_sessionmaker[AsyncSession]
) -> AsyncIterator[None]:
    engine = create_async_engine(url(clone.info.dbname), poolclass=NullPool)
    session_factory.configure(bind=engine)
    yield
    await engine.dispose()
