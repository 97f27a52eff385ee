"""A database of its own for one test: cloned from the template database, dropped when the test has passed.

For tests of what one transaction cannot show: real commits, several connections, different values of `now()`, LISTEN
and NOTIFY, advisory locks, SERIALIZABLE. The lifespan is not run again: the pools are replaced before and after the
test, and connect to the clone during the test. The database of a failed test is kept on a server that outlives the
run, and on other servers with `--keep-failed-databases`; the summary says how to connect. The next run drops it.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator

import pytest
from sqlalchemy import Pool, QueuePool
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import greenlet_spawn

from ..connections.redirect import Redirect
from ..postgres.server import Server
from ..transaction.engine_events import Checkout, EngineEvents, invalidate, is_separate
from ..transaction.shielded import LIMIT
from .clones import Clones
from .databases import WorkerDatabase, WorkerDatabases
from .kept_databases import keeps_databases, report_kept_database
from .savepoint import STILL_OPEN, TEST_URL
from .synchronous_end import OPEN_SESSIONS

KEPT_BY_LIFESPAN = (
    "Timed out after {1} s: a task of the lifespan has not returned {0} to the pool since the test ended. Check out a "
    "connection for each operation, and return it."
)

HAS_FAILED = pytest.StashKey[bool]()
CLONES = pytest.StashKey[Clones]()


def record_outcome(item: pytest.Item, report: pytest.TestReport) -> None:
    """Record whether a phase of the test has failed."""
    item.stash[HAS_FAILED] = item.stash.get(HAS_FAILED, False) or report.failed


@pytest.fixture(scope="session")
def _clones(
    request: pytest.FixtureRequest, _server: Server, _databases: WorkerDatabases, _seeded_database: str
) -> Iterator[Clones]:
    """The databases for the own_database tests of this worker."""
    wanted = sum(item.get_closest_marker("own_database") is not None for item in request.session.items)
    clones = Clones(_server, _databases.source, _databases.next_name, wanted)
    request.config.stash[CLONES] = clones
    yield clones
    # A fixture that has written rows may end later.
    del request.config.stash[CLONES]
    clones.close()


@pytest.fixture
def _own_database(
    request: pytest.FixtureRequest,
    _server: Server,
    _databases: WorkerDatabases,
    _clones: Clones,
) -> Iterator[WorkerDatabase]:
    """A clone of the template database for one test, dropped when the test has passed."""
    name = _clones.take()
    try:
        with _databases.admitting(name):
            yield WorkerDatabase(name, _server.libpq_url(name))
    finally:
        if request.node.stash.get(HAS_FAILED, True) and keeps_databases(request.config, _server):
            _databases.keep(name)
            report_kept_database(request.config, request.node.nodeid, _server, name)
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
    """Redirects all connections of the process to the test's own database, and closes them before it is dropped."""
    events, sessions = _redirect.events, request.config.stash.get(OPEN_SESSIONS, None)
    if sessions is not None:
        # A session of a fixture connects again, to the test's own database.
        sessions.roll_back()
    before = {*events.checkouts, *events.lifespan_checkouts}
    request.node.stash[TEST_URL] = _own_database.url
    _redirect.engines.replace_pools()
    _redirect.begin("own_database")
    try:
        with _redirect.to(_own_database.url, is_shared=False):
            yield
    finally:
        if sessions is not None:
            sessions.roll_back()
        # First: later statements of the lifespan get a new pool, and wait for the next test.
        pools = _redirect.engines.replace_pools()
        left = [checkout for record, checkout in events.checkouts.items() if record not in before]
        try:
            for checkout in left:
                await invalidate(checkout)
        finally:
            wrong = await _redirect.end()
            kept = await _wait_until_returned(pools, events, before)
            for pool, is_async in pools:
                await close_idle(pool, is_async=is_async)
    if left:
        pytest.fail(STILL_OPEN.format(" and ".join(map(str, left))), pytrace=False)
    if wrong or kept:
        pytest.fail(wrong or KEPT_BY_LIFESPAN.format(" and ".join(map(str, kept)), LIMIT), pytrace=False)


async def _wait_until_returned(
    pools: list[tuple[Pool, bool]], events: EngineEvents, before: Collection[ConnectionPoolEntry]
) -> list[Checkout]:
    """Wait until tasks of the lifespan have returned connections to the test's database; returns the others."""
    deadline = asyncio.get_running_loop().time() + LIMIT
    while True:
        # One from before the test is connected to another database.
        checkouts = [(record, each) for record, each in events.lifespan_checkouts.items() if record not in before]
        kept = [each for record, each in checkouts if is_separate(record)]
        # A connection may be in use before its checkout, while it is opened or pinged.
        in_use = sum(pool.checkedout() for pool, _ in pools if isinstance(pool, QueuePool))
        if not (kept or in_use):
            return []
        if asyncio.get_running_loop().time() > deadline:
            for checkout in kept:
                await invalidate(checkout)
            return kept
        await asyncio.sleep(0.001)


async def close_idle(pool: Pool, *, is_async: bool) -> None:
    """Close the idle connections of a pool."""
    try:
        await (greenlet_spawn(pool.dispose) if is_async else asyncio.to_thread(pool.dispose))
    except Exception:
        # The connections belong to a closed event loop; the server closes them.
        return
