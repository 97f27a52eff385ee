"""A savepoint test: everything it does happens in one transaction, rolled back at the end. The default.

The application keeps its real `get_db`, its own sessions and its own engines: they connect, and get the connection that
all of them share. `db_session` is another session, on the application's engine. A session shared by the test and the
application would hide a forgotten commit or flush.

Beside its own statements, a test sends BEGIN and ROLLBACK, since that is what keeps it apart; and between them
SAVEPOINT and RELEASE for each transaction, which stand for its BEGIN and COMMIT. What a COMMIT looks at besides,
deferred constraints, is looked at where there are any.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import URL

from ..connections.process import REDIRECT
from ..connections.redirect import Redirect
from ..transaction.engine_events import take_back
from ..transaction.refusals import ENDED
from .databases import WorkerDatabase, WorkerDatabases

# Where the connections of a test lead to.
TEST_URL = pytest.StashKey[URL]()

LEFT = (
    "the test has ended, and {} is still open. Close the session, or await the task that uses it, before the test "
    "returns."
)


@pytest.fixture(scope="session")
async def _connection_held(
    _event_loop_held: None, _worker_database: WorkerDatabase, _redirect: Redirect
) -> AsyncIterator[None]:
    """Closes the shared connection before its loop ends, and before the database is dropped under it."""
    yield
    await _redirect.shared.close()


@pytest.fixture
async def _savepoint(
    anyio_backend: str,
    _connection_held: None,
    _worker_database: WorkerDatabase,
    _databases: WorkerDatabases,
    _redirect: Redirect,
    request: pytest.FixtureRequest,
) -> AsyncIterator[None]:
    """A transaction for this test, on the connection that all engines share; begun by the first statement."""
    request.node.stash[TEST_URL] = _worker_database.url
    lent = _redirect.events.lent
    before = set(lent)
    _redirect.shared.begin("test")
    try:
        yield
    finally:
        left = [checkout for record, checkout in lent.items() if record not in before]
        try:
            for checkout in left:
                await take_back(checkout)
        finally:
            wrong = await _redirect.shared.end()
        if left or wrong or _redirect.shared.transactions.has_ddl or _redirect.shared.transactions.is_lost:
            # What is prepared, or held, is no more what it was.
            await _redirect.shared.close()
        if _redirect.shared.transactions.has_set_up or _redirect.shared.raw is None:
            _redirect.engines.new_pools()
        if wrong == ENDED:
            _databases.renew(_worker_database.name)
    if _redirect.refusals.messages:
        return
    if left:
        pytest.fail(LEFT.format(" and ".join(map(str, left))), pytrace=False)
    if wrong:
        pytest.fail(wrong, pytrace=False)


@contextmanager
def on_demand(request: pytest.FixtureRequest) -> Iterator[None]:
    """While a test runs that takes no fixture of the harness: a savepoint, as soon as it connects."""
    redirect, is_isolated = request.config.stash[REDIRECT], False

    def isolate() -> None:
        nonlocal is_isolated
        if not is_isolated:
            is_isolated = True
            request.getfixturevalue("_worker_database")
            if inspect.iscoroutinefunction(request.function):
                redirect.shared.loop = asyncio.get_running_loop()
            redirect.shared.begin("test")

    redirect.shared.demand = isolate
    try:
        yield
    finally:
        redirect.shared.demand = None
        if is_isolated:
            redirect.shared.cut()
            redirect.engines.new_pools()
