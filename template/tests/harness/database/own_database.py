"""A database of its own for one test: cloned from the sealed template, dropped when the test has passed.

For what one transaction cannot show: real commits, several connections, `now()` that moves, LISTEN and NOTIFY,
advisory locks, SERIALIZABLE. The lifespan is not run again: its pools are emptied before and after, and connect to
the clone in between. The database of a test that failed is kept on a server that outlives the run, and elsewhere with
`--keep-database`; the summary says how to connect. The next run sweeps it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import Pool, QueuePool
from sqlalchemy.util import greenlet_spawn

from ..connections.redirect import Redirect
from ..postgres.server import Server
from ..transaction.engine_events import Checkout, EngineEvents, is_apart, take_back
from ..transaction.shared_connection import LIMIT
from .clones import Clones
from .databases import WorkerDatabase, WorkerDatabases
from .kept_databases import keeps_databases, report_kept_database
from .savepoint import LEFT, TEST_URL

KEPT_BY_LIFESPAN = (
    "a task of the lifespan keeps {} to the database of a test that has ended, {} s later. Let it connect for each "
    "thing that it does, and give the connection back."
)

HAS_FAILED = pytest.StashKey[bool]()
CLONES = pytest.StashKey[Clones]()


def note_outcome(item: pytest.Item, report: pytest.TestReport) -> None:
    """Keep in mind whether a phase of the test has failed."""
    item.stash[HAS_FAILED] = item.stash.get(HAS_FAILED, False) or report.failed


@pytest.fixture(scope="session")
def _clones(
    request: pytest.FixtureRequest, postgres_server: Server, _databases: WorkerDatabases, _seeded_database: str
) -> Iterator[Clones]:
    """The databases that tests of this worker will have for their own."""
    wanted = sum(item.get_closest_marker("own_database") is not None for item in request.session.items)
    clones = Clones(postgres_server, _databases.source, _databases.next_name, wanted)
    request.config.stash[CLONES] = clones
    yield clones
    clones.close()


@pytest.fixture
def _own_database(
    request: pytest.FixtureRequest,
    postgres_server: Server,
    _databases: WorkerDatabases,
    _clones: Clones,
) -> Iterator[WorkerDatabase]:
    """A clone of the schema for one test, dropped when the test has passed."""
    name = _clones.take()
    try:
        yield WorkerDatabase(name, postgres_server.url(name))
    finally:
        if request.node.stash.get(HAS_FAILED, True) and keeps_databases(request.config, postgres_server):
            _databases.keep(name)
            report_kept_database(request.config, request.node.nodeid, postgres_server, name)
        else:
            _clones.drop(name)


@pytest.fixture
async def _own_pools(
    anyio_backend: str,
    _connection_held: None,
    _own_database: WorkerDatabase,
    _redirect: Redirect,
    request: pytest.FixtureRequest,
) -> AsyncIterator[None]:
    """Sends all connections of the process to the test's own database, and leaves none when that is dropped."""
    events = _redirect.events
    before = set(events.lent)
    request.node.stash[TEST_URL] = _own_database.url
    _redirect.engines.new_pools()
    _redirect.shared.begin("aside")
    try:
        with _redirect.to(_own_database.url, is_shared=False):
            yield
    finally:
        # At once: what the lifespan begins from now on gets a new pool, and waits for the next test.
        pools = _redirect.engines.new_pools()
        left = [checkout for record, checkout in events.lent.items() if record not in before]
        try:
            for checkout in left:
                await take_back(checkout)
        finally:
            wrong = await _redirect.shared.end()
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
