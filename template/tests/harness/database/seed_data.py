"""Rows that every test starts with: written once by each worker, and cloned with the schema.

A project with such rows overrides the fixture `seed_data`. Rows that the lifespan commits during its startup are in
every test, too. This holds for savepoint tests and for own_database tests.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import NullPool, create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from ..connections.redirect import Redirect
from ..core.run import stop_run
from ..core.source_lines import places
from ..postgres.server import Server
from ..transaction.fresh_session import synchronous_session
from ..transaction.raw_connection import installed_driver
from .databases import WorkerDatabase, WorkerDatabases
from .own_database import CLONES, close_idle

DATABASE_XID = "SELECT xmin::text::bigint FROM pg_database WHERE datname = current_database()"
TABLES = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
HAS_NEWER_ROWS = "SELECT EXISTS (SELECT FROM {} WHERE xmin::text::bigint > %s)"

# In a synchronous application, a synchronous function.
SeedData = Callable[[AsyncSession], Awaitable[None]] | Callable[[Session], None]


async def copy_lifespan_rows(
    config: pytest.Config, databases: WorkerDatabases, worker_database: WorkerDatabase, redirect: Redirect
) -> None:
    """Clone the worker's database for own_database tests, if the lifespan has written rows to it."""
    has_written = redirect.has_written
    if not has_written and redirect.has_separate_connection:
        has_written = _has_new_rows(databases.server, worker_database.name)
    if not has_written:
        return
    # CREATE DATABASE fails while another session is connected to its template.
    await redirect.close()
    for pool, is_async in redirect.engines.replace_pools():
        await close_idle(pool, is_async=is_async)
    try:
        with redirect.synchronous.closed():
            databases.source = databases.clone(worker_database.name)
    except psycopg.errors.ObjectInUse:
        stop_run(
            config,
            "The lifespan writes rows during its startup and keeps a separate connection open, so its rows cannot be "
            "copied for each test. Write these rows in the fixture `seed_data`.",
        )
    if (clones := config.stash.get(CLONES, None)) is not None:
        clones.use(databases.source)


def _has_new_rows(server: Server, database: str) -> bool:
    """Whether a table has rows that are newer than the database."""
    with server.connect(database) as connection:
        since = connection.execute(DATABASE_XID).fetchone()
        tables = connection.execute(TABLES).fetchall()
        queries = [sql.SQL(HAS_NEWER_ROWS).format(sql.Identifier(schema, name)) for schema, name in tables]
        return any((connection.execute(query, since).fetchone() or (False,))[0] for query in queries)


def _write_asynchronously(seed_data: Any, server: Server, name: str, redirect: Redirect) -> None:
    engine = create_async_engine(server.url(name, installed_driver()), poolclass=NullPool)
    redirect.engines.exempt(engine, server.libpq_url(name))

    async def write() -> None:
        async with AsyncSession(engine, expire_on_commit=False) as session:
            await seed_data(session)
            await session.commit()

    asyncio.run(write())


def _write(seed_data: Any, server: Server, name: str, redirect: Redirect) -> None:
    engine = create_engine(server.url(name, "psycopg"), poolclass=NullPool)
    redirect.engines.exempt(engine, server.libpq_url(name))
    with synchronous_session(engine, expire_on_commit=False) as session:
        seed_data(session)
        session.commit()


@pytest.fixture(scope="session")
def seed_data() -> SeedData | None:
    """A function that writes the rows of every test, with a session as its argument; None without such rows.

    An async function gets an `AsyncSession`, another function a `Session`.
    """
    return None


@pytest.fixture(scope="session")
def _seeded_database(
    pytestconfig: pytest.Config,
    _server: Server,
    _databases: WorkerDatabases,
    _template_database: str,
    _redirect: Redirect,
    seed_data: SeedData | None,
) -> str:
    """The name of the database that is cloned for tests: the schema and the rows of `seed_data`."""
    if seed_data is None:
        _databases.source = _template_database
        return _template_database
    _databases.source = name = _databases.clone(_template_database)
    write = _write_asynchronously if inspect.iscoroutinefunction(seed_data) else _write
    try:
        # In a thread, since the event loop of the tests may be running in this one.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(write, seed_data, _server, name, _redirect).result()
    except Exception as error:
        where = "".join(f"{place}: " for place in places(error, pytestconfig.rootpath)[-1:])
        stop_run(pytestconfig, f"seed_data: {where}{type(error).__name__}: {error}")
    return name
