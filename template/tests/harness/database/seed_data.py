"""Rows that every test of a run begins with: written once by each worker, and cloned with the schema.

A project that has such rows overrides the fixture `seed_data`. What the lifespan commits while it starts is there too:
`running_app` hands it on. Both are in every test, with a database of its own or without.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from ..connections.redirect import Redirect
from ..core.run import stop_run
from ..core.source_lines import places
from ..postgres.server import Server
from ..transaction.raw_connection import installed_driver
from .databases import WorkerDatabase, WorkerDatabases
from .own_database import CLONES, close_idle

MADE = "SELECT xmin::text::bigint FROM pg_database WHERE datname = current_database()"
TABLES = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
NEWER = "SELECT EXISTS (SELECT FROM {} WHERE xmin::text::bigint > %s)"

SeedData = Callable[[AsyncSession], Awaitable[None]]


async def hand_on(
    config: pytest.Config, databases: WorkerDatabases, worker_database: WorkerDatabase, redirect: Redirect
) -> None:
    """Let tests with a database of their own have what the lifespan has written to this worker's, if anything."""
    has_written = redirect.shared.transactions.has_written
    if not has_written and redirect.has_connected_apart:
        has_written = _has_new_rows(databases.server, worker_database.name)
    if not has_written:
        return
    # Nobody may be connected to what is copied.
    await redirect.shared.close()
    for pool, is_async in redirect.engines.new_pools():
        await close_idle(pool, is_async=is_async)
    try:
        databases.source = databases.clone(worker_database.name)
    except psycopg.errors.ObjectInUse:
        stop_run(
            config,
            "the lifespan writes to the database while it starts, and keeps a connection of its own, so that its rows "
            "cannot be copied for each test. Let fixture `seed_data` write them.",
        )
    if (clones := config.stash.get(CLONES, None)) is not None:
        clones.use(databases.source)


def _has_new_rows(server: Server, database: str) -> bool:
    """Whether a table has rows that are younger than the database."""
    with server.connect(database) as connection:
        since = connection.execute(MADE).fetchone()
        tables = connection.execute(TABLES).fetchall()
        queries = [sql.SQL(NEWER).format(sql.Identifier(schema, name)) for schema, name in tables]
        return any((connection.execute(query, since).fetchone() or (False,))[0] for query in queries)


@pytest.fixture(scope="session")
def seed_data() -> SeedData | None:
    """What writes the rows that every test is to have: an async function that is given a session; None without any."""
    return None


@pytest.fixture(scope="session")
def _seeded_database(
    pytestconfig: pytest.Config,
    postgres_server: Server,
    _databases: WorkerDatabases,
    _template_database: str,
    _redirect: Redirect,
    seed_data: SeedData | None,
) -> str:
    """The name of the database that tests get copies of: the schema, and the rows of `seed_data`."""
    if seed_data is None:
        _databases.source = _template_database
        return _template_database
    _databases.source = name = _databases.clone(_template_database)
    engine = create_async_engine(postgres_server.url(name, installed_driver()), poolclass=NullPool)
    _redirect.engines.exempt(engine)

    async def write() -> None:
        async with AsyncSession(engine, expire_on_commit=False) as session:
            await seed_data(session)
            await session.commit()

    try:
        # In a thread, since the tests' own event loop may run here.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, write()).result()
    except Exception as error:
        where = "".join(f"{place}: " for place in places(error, pytestconfig.rootpath)[-1:])
        stop_run(pytestconfig, f"seed_data: {where}{type(error).__name__}: {error}")
    return name
