"""A database of its own for one test: cloned from the sealed template, dropped when the test is over.

For what one transaction cannot show: real commits, several connections, `now()` that moves, LISTEN and NOTIFY,
advisory locks, SERIALIZABLE. The lifespan is not run again: its pools are emptied before and after, and connect to
the clone in between.
"""

from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from .databases import Databases, WorkerDatabase
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
    await _empty_pool_of(bind_before)
    session_factory.configure(bind=engine)
    yield engine
    session_factory.configure(bind=bind_before)
    await _empty_pool_of(bind_before)
    await engine.dispose()


async def _empty_pool_of(bind: object) -> None:
    if isinstance(bind, AsyncEngine):
        await bind.dispose()


@pytest.fixture
async def own_session(anyio_backend: str, own_engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """The test's session on its own database: what it commits is committed."""
    async with AsyncSession(
        own_engine, expire_on_commit=False, execution_options={"populate_existing": True}
    ) as session:
        yield session
