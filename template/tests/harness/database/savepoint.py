"""A savepoint test: all statements of the test run in one transaction, which is rolled back at the end. The default.

The application keeps its own `get_db`, sessions and engines; the engines get the shared connection. `db_session` is a
separate session on the application's engine. A session that the test and the application share would hide a missing
commit or flush.

In addition to its own statements, a test sends BEGIN and ROLLBACK, and SAVEPOINT and RELEASE for each transaction, in
place of its BEGIN and COMMIT. Deferred constraints, which COMMIT checks, are checked before the RELEASE.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

import pytest
from sqlalchemy import URL

from ..connections.process import REDIRECT
from ..connections.redirect import Redirect
from ..transaction.engine_events import Checkout, invalidate
from ..transaction.refusals import ENDED
from ..transaction.shielded import LIMIT
from .databases import WorkerDatabase
from .sequences import restart_sequences
from .synchronous_end import OPEN_SESSIONS, end_synchronous
from .template import DATABASES

# The URL of the test's database.
TEST_URL = pytest.StashKey[URL]()

STILL_OPEN = (
    "Still open when the test ended: {}. Close the session, or await the task that uses it, before the test returns."
)


@pytest.fixture(scope="session")
async def _connection_held(
    _event_loop_held: None, _worker_database: WorkerDatabase, _redirect: Redirect
) -> AsyncIterator[None]:
    """Closes the shared connection before its event loop ends, and before the database is dropped."""
    yield
    await _redirect.shared.close()


@contextmanager
def savepoint(request: pytest.FixtureRequest, *, closes: bool) -> Iterator[None]:
    """A transaction for this test on the shared connection, begun by the first statement.

    Args:
        closes: whether to close the connection at the end, since its event loop may end with the test.
    """
    redirect, database = request.config.stash[REDIRECT], request.getfixturevalue("_worker_database")
    request.node.stash[TEST_URL] = database.url
    if request.config.stash[DATABASES].server.source == "url":
        redirect.replace_if_idle()
    before = set(redirect.events.checkouts)
    restart_sequences(request.config, redirect, database)
    redirect.begin("test")
    loop, left, wrong = redirect.shared.loop, list[Checkout](), None
    try:
        yield
    finally:
        try:
            left, wrong = end_synchronous(redirect, request.config.stash.get(OPEN_SESSIONS, None))
        finally:
            if loop is None:
                # No async test has run yet, so no asynchronous engine shares a connection.
                redirect.shared.terminate()
            else:
                more = [checkout for record, checkout in redirect.events.checkouts.items() if record not in before]
                # Not in an async fixture: AnyIO would switch to its runner twice.
                wrong = loop.run_until_complete(_end(redirect, more, closes=closes)) or wrong
                left += more
        if wrong == ENDED:
            request.config.stash[DATABASES].renew(database.name)
    if redirect.refusals.messages:
        return
    if left:
        pytest.fail(STILL_OPEN.format(" and ".join(map(str, left))), pytrace=False)
    if wrong:
        pytest.fail(wrong, pytrace=False)


async def _end(redirect: Redirect, left: list[Checkout], *, closes: bool) -> str | None:
    """Close open connections, and roll back; returns an error message, or None."""
    try:
        for checkout in left:
            with suppress(TimeoutError):
                async with asyncio.timeout(LIMIT):
                    await invalidate(checkout)
    finally:
        try:
            wrong = await redirect.shared.end()
            transactions = redirect.shared.transactions
            if closes or left or wrong or transactions.has_ddl or transactions.is_lost:
                # Prepared statements and cached plans may be invalid, or the connection is unusable.
                await redirect.shared.close()
        finally:
            is_replaced = redirect.shared.transactions.has_set_up or redirect.shared.raw is None
            if is_replaced and not redirect.is_synchronous:
                redirect.engines.replace_pools()
    return wrong
