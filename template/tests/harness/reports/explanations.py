"""Explanations of errors whose message hides the cause; they are shown above the error in the report of the test.

The whole chain is searched: causes, contexts, exception groups, and the text of an error that pydantic has wrapped.
"""

from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ..connections.process import REDIRECT
from ..core.exception_chain import chain
from ..transaction.raw_connection import sqlstate
from ..transaction.refusals import NARROWER, OWN_DATABASE, SWALLOWED
from ..transaction.synchronous_transactions import without_await
from .missing_state import explanation_of_missing_state
from .other_loop import explanation_of_other_loop
from .unloaded_attribute import explanation_of_unloaded

IN_TRANSACTION = "this statement cannot run in a transaction, and a savepoint test runs in one. " + OWN_DATABASE
# Of a test that has the mark.
IN_TRANSACTION_OF_OWN = (
    "this statement cannot run in a transaction. Run it with AUTOCOMMIT: `async with "
    'engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:`.'
)
READ_ONLY = (
    "a fixture with a wider scope than function wrote to the database; its rows would stay for all later tests. "
    + NARROWER
)
POOL = (
    "all connections of an engine's pool are checked out. `db_session` uses the application's pool, and keeps a "
    "connection until its transaction ends: end it before the application connects, by `await db_session.commit()`."
)

# active_sql_transaction, invalid_transaction_termination, read_only_sql_transaction, in_failed_sql_transaction:
# https://www.postgresql.org/docs/current/errcodes-appendix.html
READ_ONLY_TRANSACTION = "25006"
BY_SQLSTATE = {"25001": IN_TRANSACTION, "2D000": IN_TRANSACTION, READ_ONLY_TRANSACTION: READ_ONLY, "25P02": SWALLOWED}


def explanation(error: BaseException, root: Path) -> str | None:
    """The explanation of an error, if there is one."""
    explained = explanation_of_unloaded(error, root) or explanation_of_other_loop(error, root)
    return explained or explanation_of_missing_state(error) or _by_sqlstate(error)


def _by_sqlstate(error: BaseException) -> str | None:
    for found in chain(error):
        if isinstance(found, PoolTimeoutError):
            return POOL
        if isinstance(found, DBAPIError) and (state := sqlstate(found.orig)) in BY_SQLSTATE:
            return BY_SQLSTATE[state]
        # The driver's own error: the others may have been meant.
        if sqlstate(found) == READ_ONLY_TRANSACTION:
            return READ_ONLY
    return None


def explain(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Put the explanation of an error above it, if there is one."""
    why = explanation(call.excinfo.value, item.config.rootpath) if report.failed and call.excinfo else None
    if why == IN_TRANSACTION and item.get_closest_marker("own_database"):
        # Not of a statement such as SET TRANSACTION, which must be the first.
        why = None if "before any query" in str(call.excinfo) else IN_TRANSACTION_OF_OWN
    if why == READ_ONLY and call.when == "call":
        # The transaction of a test, or of a task of the lifespan.
        why = None
    if why is not None:
        if item.config.stash[REDIRECT].is_synchronous:
            why = without_await(why)
        report.longrepr = f"{why}\n\n{report.longreprtext}"
