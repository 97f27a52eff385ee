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
from contextlib import contextmanager, suppress

import pytest
from sqlalchemy import URL

from ..connections.process import REDIRECT
from ..connections.redirect import Redirect
from ..transaction.engine_events import Checkout, take_back
from ..transaction.refusals import ENDED
from ..transaction.shared_connection import LIMIT
from .databases import WorkerDatabase
from .template import DATABASES

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


@contextmanager
def savepoint(request: pytest.FixtureRequest) -> Iterator[None]:
    """A transaction for this test, on the connection that all engines share; begun by the first statement."""
    redirect, database = request.config.stash[REDIRECT], request.getfixturevalue("_worker_database")
    request.node.stash[TEST_URL] = database.url
    before = set(redirect.events.lent)
    redirect.shared.begin("test")
    loop = redirect.shared.loop
    assert loop is not None
    try:
        yield
    finally:
        left = [checkout for record, checkout in redirect.events.lent.items() if record not in before]
        # Not in an async fixture, for which AnyIO would wake its runner twice.
        wrong = loop.run_until_complete(_end(redirect, left))
        if wrong == ENDED:
            request.config.stash[DATABASES].renew(database.name)
    if redirect.refusals.messages:
        return
    if left:
        pytest.fail(LEFT.format(" and ".join(map(str, left))), pytrace=False)
    if wrong:
        pytest.fail(wrong, pytrace=False)


async def _end(redirect: Redirect, left: list[Checkout]) -> str | None:
    """Take back what is left open, and roll back; returns what is wrong, if anything."""
    try:
        for checkout in left:
            with suppress(TimeoutError):
                async with asyncio.timeout(LIMIT):
                    await take_back(checkout)
    finally:
        try:
            wrong = await redirect.shared.end()
            if left or wrong or redirect.shared.transactions.has_ddl or redirect.shared.transactions.is_lost:
                # What is prepared, or held, is no more what it was.
                await redirect.shared.close()
        finally:
            if redirect.shared.transactions.has_set_up or redirect.shared.raw is None:
                redirect.engines.new_pools()
    return wrong


@contextmanager
def on_demand(request: pytest.FixtureRequest) -> Iterator[None]:
    """While a test runs that takes no fixture of the harness: a savepoint, as soon as it connects."""
    redirect, is_isolated, is_over = request.config.stash[REDIRECT], False, False

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
            is_over = redirect.shared.transactions.is_over
            redirect.shared.cut()
            redirect.engines.new_pools()
    if is_over:
        worker_database: WorkerDatabase = request.getfixturevalue("_worker_database")
        request.getfixturevalue("_databases").renew(worker_database.name)
        if not redirect.refusals.messages:
            pytest.fail(ENDED, pytrace=False)
