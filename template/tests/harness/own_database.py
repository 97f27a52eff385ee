"""A database of its own for one test: cloned from the sealed template, dropped when the test has passed.

For what one transaction cannot show: real commits, several connections, `now()` that moves, LISTEN and NOTIFY,
advisory locks, SERIALIZABLE. The lifespan is not run again: its pools are emptied before and after, and connect to
the clone in between. The database of a test that failed is kept on a server that outlives the run, and elsewhere with
`--keep-database`; the summary says how to connect. The next run sweeps it.
"""

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator

import pytest
from sqlalchemy import Pool, QueuePool
from sqlalchemy.util import greenlet_spawn

from .clones import Clones
from .databases import Databases, WorkerDatabase
from .engine_events import Checkout, EngineEvents, is_apart, take_back
from .kept import keeps_databases, tell_of_kept
from .postgres.server import Server
from .redirect import Redirect
from .savepoint import LEFT, TEST_URL
from .shared import LIMIT

KEPT_BY_LIFESPAN = (
    "a task of the lifespan keeps {} to the database of a test that has ended, {} s later. Let it connect for each "
    "thing that it does, and give the connection back."
)

HAS_FAILED = pytest.StashKey[bool]()
CLONES = pytest.StashKey[Clones]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[HAS_FAILED] = item.stash.get(HAS_FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def clones(
    request: pytest.FixtureRequest, postgres: Server, databases: Databases, seeded_database: str
) -> Iterator[Clones]:
    """The databases that tests of this worker will have for their own."""
    wanted = sum(item.get_closest_marker("own_database") is not None for item in request.session.items)
    clones = Clones(postgres, databases.source, databases.next_name, wanted)
    request.config.stash[CLONES] = clones
    yield clones
    clones.close()


@pytest.fixture
def own_database(
    request: pytest.FixtureRequest,
    postgres: Server,
    databases: Databases,
    clones: Clones,
) -> Iterator[WorkerDatabase]:
    """A clone of the schema for one test, dropped when the test has passed."""
    name = clones.take()
    try:
        yield WorkerDatabase(name, postgres.url(name))
    finally:
        if request.node.stash.get(HAS_FAILED, True) and keeps_databases(request.config, postgres):
            databases.keep(name)
            tell_of_kept(request.config, request.node.nodeid, postgres, name)
        else:
            clones.drop(name)


@pytest.fixture
async def own_pools(
    anyio_backend: str,
    connection_held: None,
    own_database: WorkerDatabase,
    redirect: Redirect,
    request: pytest.FixtureRequest,
) -> AsyncIterator[None]:
    """Sends all connections of the process to the test's own database, and leaves none when that is dropped."""
    events = redirect.events
    before = set(events.lent)
    request.node.stash[TEST_URL] = own_database.url
    redirect.engines.new_pools()
    redirect.shared.begin("aside")
    try:
        with redirect.to(own_database.url, is_shared=False):
            yield
    finally:
        # At once: what the lifespan begins from now on gets a new pool, and waits for the next test.
        pools = redirect.engines.new_pools()
        left = [checkout for record, checkout in events.lent.items() if record not in before]
        try:
            for checkout in left:
                await take_back(checkout)
        finally:
            wrong = await redirect.shared.end()
            kept = await _given_back(pools, events)
            for pool, is_async in pools:
                await close_idle(pool, is_async=is_async)
    if left:
        pytest.fail(LEFT.format(" and ".join(map(str, left))), pytrace=False)
    if wrong or kept:
        pytest.fail(wrong or KEPT_BY_LIFESPAN.format(" and ".join(map(str, kept)), LIMIT), pytrace=False)


async def _given_back(pools: list[tuple[Pool, bool]], events: EngineEvents) -> list[Checkout]:
    """Wait until tasks of the lifespan have given back their connections to the test's database; those they keep."""
    deadline = asyncio.get_running_loop().time() + LIMIT
    while True:
        kept = [checkout for record, checkout in events.lent_to_lifespan.items() if is_apart(record)]
        # Not all is lent yet: one may be tried, or opened.
        in_use = sum(pool.checkedout() for pool, _ in pools if isinstance(pool, QueuePool))
        if not (kept or in_use):
            return []
        if asyncio.get_running_loop().time() > deadline:
            for checkout in kept:
                await take_back(checkout)
            return kept
        await asyncio.sleep(0.001)


async def close_idle(pool: Pool, *, is_async: bool) -> None:
    """Close the idle connections of a pool."""
    try:
        await (greenlet_spawn(pool.dispose) if is_async else asyncio.to_thread(pool.dispose))
    except Exception:
        # Of another event loop: nobody can close them any more, and the server will.
        return
