"""A database of its own for one test: cloned from the sealed template, dropped when the test has passed.

For what one transaction cannot show: real commits, several connections, `now()` that moves, LISTEN and NOTIFY,
advisory locks, SERIALIZABLE. The lifespan is not run again: its pools are emptied before and after, and connect to
the clone in between. The database of a test that failed is kept on a server that outlives the run, and elsewhere with
`--keep-database`; the summary says how to connect. The next run sweeps it.
"""

from collections.abc import AsyncIterator, Generator, Iterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from .clones import Clones
from .databases import Databases, WorkerDatabase
from .fresh import FreshSession
from .kept import keeps_databases, tell_of_kept
from .postgres.server import Server
from .redirect import Redirect

HAS_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[HAS_FAILED] = item.stash.get(HAS_FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def clones(
    request: pytest.FixtureRequest, postgres: Server, databases: Databases, template_database: str
) -> Iterator[Clones]:
    """The databases that tests of this worker will have for their own."""
    wanted = sum(item.get_closest_marker("own_database") is not None for item in request.session.items)
    clones = Clones(postgres, template_database, databases.next_name, wanted)
    yield clones
    clones.close()


@pytest.fixture
def own_database(
    request: pytest.FixtureRequest,
    postgres: Server,
    databases: Databases,
    clones: Clones,
    worker_database: WorkerDatabase,
    redirect: Redirect,
) -> Iterator[WorkerDatabase]:
    """A clone of the schema for one test, where all connections of the process go while it runs."""
    name = clones.take()
    database = WorkerDatabase(name, postgres.url(name))
    with redirect.to(database.url):
        yield database
    if request.node.stash[HAS_FAILED] and keeps_databases(request.config, postgres):
        databases.keep(name)
        tell_of_kept(request.config, request.node.nodeid, postgres, name)
    else:
        clones.drop(name)


@pytest.fixture(scope="session")
def pooling_engine(worker_database: WorkerDatabase) -> AsyncEngine:
    """The one engine of all own_database tests of this worker: what a new one asks the server first takes 3 ms."""
    return create_async_engine(worker_database.url)


@pytest.fixture
async def own_engine(
    anyio_backend: str,
    session_factory: async_sessionmaker[AsyncSession],
    own_database: WorkerDatabase,
    pooling_engine: AsyncEngine,
    redirect: Redirect,
) -> AsyncIterator[AsyncEngine]:
    """An engine with a pool on the test's own database, which the application's sessions use too."""
    engine = pooling_engine
    # For tests to read; where its connections go, the redirection says.
    engine.sync_engine.url = own_database.url
    bind_before = session_factory.kw.get("bind")
    await redirect.empty_pools()
    session_factory.configure(bind=engine)
    yield engine
    assert isinstance(engine.pool, AsyncAdaptedQueuePool)
    in_use = engine.pool.checkedout()
    session_factory.configure(bind=bind_before)
    await redirect.empty_pools()
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
