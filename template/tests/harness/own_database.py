"""A database of its own for one test: cloned from the sealed template, dropped when the test is over.

For what one transaction cannot show: real commits, several connections, `now()` that moves, LISTEN and NOTIFY,
advisory locks, SERIALIZABLE. The lifespan is not run again: its pools are emptied before and after, and connect to
the clone in between.
"""

from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from .databases import Databases, WorkerDatabase
from .fresh import FreshSession
from .postgres.server import Server
from .redirect import Redirect


@pytest.fixture
def own_database(
    postgres: Server, databases: Databases, template_database: str, worker_database: WorkerDatabase, redirect: Redirect
) -> Iterator[WorkerDatabase]:
    """A clone of the schema for one test, where all connections of the process go while it runs."""
    name = databases.clone(template_database)
    database = WorkerDatabase(name, postgres.url(name))
    with redirect.to(database.url):
        yield database
    databases.drop(name)


@pytest.fixture
async def own_engine(
    anyio_backend: str,
    session_factory: async_sessionmaker[AsyncSession],
    own_database: WorkerDatabase,
    redirect: Redirect,
) -> AsyncIterator[AsyncEngine]:
    """An engine with a pool on the test's own database, which the application's sessions use too."""
    engine = create_async_engine(own_database.url)
    redirect.exempt(engine)
    bind_before = session_factory.kw.get("bind")
    await redirect.empty_pools()
    session_factory.configure(bind=engine)
    yield engine
    session_factory.configure(bind=bind_before)
    await redirect.empty_pools()
    assert isinstance(engine.pool, AsyncAdaptedQueuePool)
    in_use = engine.pool.checkedout()
    await engine.dispose()
    if in_use:
        pytest.fail(
            f"the test has ended, and {in_use} of its connections are still in use. Await the task that uses them, or "
            "cancel it and then await it, before the test returns; or close the session.",
            pytrace=False,
        )


@pytest.fixture
async def own_session(anyio_backend: str, own_engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """The test's session on its own database: what it commits is committed."""
    async with FreshSession(own_engine, expire_on_commit=False) as session:
        yield session
