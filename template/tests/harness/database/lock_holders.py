"""Adds the open transactions to the error of a statement that timed out while waiting for a lock.

A connection of a test waits at most `LOCK_TIMEOUT_MS` (`session_settings.py`) for a lock, unless the application sets
its own limit. The server is queried immediately after the error. Usually the test itself holds the lock.
"""

from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, ExceptionContext, event

from ..connections.process import REDIRECT
from ..transaction.raw_connection import sqlstate
from ..transaction.synchronous_transactions import without_await
from .server import USED
from .statements import shortened

# https://www.postgresql.org/docs/current/errcodes-appendix.html; the same code as for NOWAIT, which does not wait.
LOCK_NOT_AVAILABLE, TIMED_OUT = "55P03", "lock timeout"

# An aborted transaction has released its locks.
IN_TRANSACTION = """
    SELECT pid, state, query FROM pg_stat_activity
    WHERE datname = %s AND xact_start IS NOT NULL AND pid <> pg_backend_pid() AND state NOT LIKE '%%aborted%%'
    ORDER BY xact_start
"""

ADVICE = (
    "Commit or roll back before another transaction waits for the lock, e.g. `await db_session.commit()`. For a test "
    "of concurrent transactions, see `wait_for_lock_waiters`."
)


def configure(config: pytest.Config) -> None:
    explain = partial(_explain, config)
    event.listen(Engine, "handle_error", explain)
    config.add_cleanup(lambda: event.remove(Engine, "handle_error", explain))


def _explain(config: pytest.Config, context: ExceptionContext) -> None:
    error, server, redirect = context.original_exception, config.stash.get(USED, None), config.stash[REDIRECT]
    is_lock = sqlstate(error) == LOCK_NOT_AVAILABLE and TIMED_OUT in str(error)
    if not is_lock or server is None or context.sqlalchemy_exception is None:
        return
    checkouts = {_pid(record.driver_connection): checkout for record, checkout in redirect.events.checkouts.items()}
    with server.connect() as connection:
        found = connection.execute(IN_TRANSACTION, (redirect.database().database,)).fetchall()
    lines = [
        f"- {checkouts.get(pid, 'another connection')}, {state}; last statement: {shortened(query)}"
        for pid, state, query in found
    ]
    heading = "The statement timed out while waiting for a lock. Open transactions:"
    advice = without_await(ADVICE) if redirect.is_synchronous else ADVICE
    context.sqlalchemy_exception.add_note("\n".join([heading, *lines, advice]))


def _pid(connection: Any) -> int | None:
    if hasattr(connection, "get_server_pid"):
        return int(connection.get_server_pid())
    info = getattr(connection, "info", None)
    return None if info is None else int(info.backend_pid)
