"""Who holds the lock that a statement has waited for in vain: mostly the test itself.

No connection of a test waits for a lock for longer than `LOCK_TIMEOUT_MS` of `redirect.py`, unless the application has
a limit of its own. The server is asked at once who has a transaction open; the answer stands in the error's notes.
"""

from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, ExceptionContext, event

from ..connections.process import REDIRECT
from .server import USED
from .statements import shortened

# https://www.postgresql.org/docs/current/errcodes-appendix.html; NOWAIT has it too, and has not waited.
LOCK_NOT_AVAILABLE, TIMED_OUT = "55P03", "lock timeout"

# One that has failed has let go of its locks.
IN_TRANSACTION = """
    SELECT pid, state, query FROM pg_stat_activity
    WHERE datname = %s AND xact_start IS NOT NULL AND pid <> pg_backend_pid() AND state NOT LIKE '%%aborted%%'
    ORDER BY xact_start
"""

ADVICE = (
    "Commit or roll back before something else waits for the lock, such as by `await db_session.commit()`. Where two "
    "transactions are to meet, see `wait_for_lock_waiters`."
)


def configure(config: pytest.Config) -> None:
    explain = partial(_explain, config)
    event.listen(Engine, "handle_error", explain)
    config.add_cleanup(lambda: event.remove(Engine, "handle_error", explain))


def _explain(config: pytest.Config, context: ExceptionContext) -> None:
    error, server = context.original_exception, config.stash.get(USED, None)
    is_lock = getattr(error, "sqlstate", None) == LOCK_NOT_AVAILABLE and TIMED_OUT in str(error)
    if not is_lock or server is None or context.sqlalchemy_exception is None:
        return
    lent = {_pid(record.driver_connection): checkout for record, checkout in config.stash[REDIRECT].events.lent.items()}
    with server.connect() as connection:
        found = connection.execute(IN_TRANSACTION, (config.stash[REDIRECT].database().database,)).fetchall()
    lines = [
        f"- {lent.get(pid, 'another connection')}, {state}; its last statement: {shortened(query)}"
        for pid, state, query in found
    ]
    heading = "the statement has waited for a lock until it was cancelled. Transactions that are open meanwhile:"
    context.sqlalchemy_exception.add_note("\n".join([heading, *lines, ADVICE]))


def _pid(connection: Any) -> int | None:
    if hasattr(connection, "get_server_pid"):
        return int(connection.get_server_pid())
    info = getattr(connection, "info", None)
    return None if info is None else int(info.backend_pid)
