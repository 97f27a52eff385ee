"""Connections that the lifespan, or a fixture with a wider scope, opens outside of the shared connection, and keeps.

They stay connected to the database of the worker, in which every later test would see what they commit. So a test may
not use them, and a task of the lifespan only reads by them, unless it asks for a transaction that writes. The startup
and the shutdown may write.
"""

import functools
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from ..transaction.logical_connection import IN_LIFESPAN
from ..transaction.refusals import KEPT_BY_LIFESPAN, Refusals
from ..transaction.shared_connection import SharedConnection
from .psycopg2_classes import checking_connection

# asyncpg's methods that send statements; its pools and transactions use them too. Before 0.30, it has no fetchmany.
OF_ASYNCPG = ["execute", "executemany", "fetch", "fetchmany", "fetchrow", "fetchval", "prepare"]
OF_ASYNCPG += ["copy_from_query", "copy_from_table", "copy_records_to_table", "copy_to_table"]

# A statement may have been prepared before.
OF_STATEMENT = ["fetch", "fetchval", "fetchrow", "fetchmany", "executemany"]

READ_ONLY = "SET default_transaction_read_only = {}"
# Of a transaction that has begun already.
THIS_TRANSACTION = "SET TRANSACTION READ ONLY"

# psycopg2.extensions.STATUS_PREPARED
PREPARED = 5

# Sets an attribute until the harness stops listening.
Replace = Callable[[Any, str, Any], None]


class Policy(Protocol):
    """Knows whether a test is running, and the place of the call."""

    direct_refusal: str | None
    refusals: Refusals
    shared: SharedConnection

    def place(self) -> str: ...

    def isolate_if_needed(self, *, is_async: bool) -> None: ...


class KeptConnections:
    """The drivers' connections of the lifespan."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        # Whether each is read-only.
        self._opened: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()

    def apply(self, replace: Replace) -> None:
        """Check each use of a connection of asyncpg and psycopg; see `options` for psycopg2."""
        with suppress(ImportError):
            of_asyncpg = import_module("asyncpg").Connection
            execute = of_asyncpg.execute
            for name in filter(functools.partial(hasattr, of_asyncpg), OF_ASYNCPG):
                replace(of_asyncpg, name, self._of_asyncpg(getattr(of_asyncpg, name), execute))
            # When BEGIN fails, asyncpg takes the next transaction for a nested one.
            for name in ("transaction", "cursor"):
                replace(of_asyncpg, name, self._refusing(getattr(of_asyncpg, name)))
            statement = import_module("asyncpg.prepared_stmt").PreparedStatement
            for name in filter(functools.partial(hasattr, statement), OF_STATEMENT):
                replace(statement, name, self._of_asyncpg(getattr(statement, name), execute))
            replace(statement, "cursor", self._refusing(statement.cursor))
        with suppress(ImportError):
            psycopg = import_module("psycopg")
            for of_psycopg in (psycopg.Connection, psycopg.AsyncConnection):
                # In a pipeline, nothing else can be sent.
                for name in ("wait", "pipeline"):
                    replace(of_psycopg, name, self._of_psycopg(getattr(of_psycopg, name)))

    def add(self, connection: Any, *, is_read_only: bool) -> None:
        """Called with a new connection of a driver."""
        with suppress(TypeError):
            self._opened[connection] = is_read_only

    def __contains__(self, connection: Any) -> bool:
        return connection in self._opened

    def discard(self, connection: Any) -> None:
        """Check the connection no more."""
        self._opened.pop(connection, None)

    def options(self, driver: str, options: dict[str, Any]) -> dict[str, Any]:
        """The options of a connection; those of psycopg2 are written in C, and need a class that checks each use."""
        if driver != "psycopg2":
            return options
        factory = options.get("connection_factory") or import_module("psycopg2.extensions").connection
        return {**options, "connection_factory": checking_connection(factory, self._check_psycopg2)}

    def _of_asyncpg(self, send: Callable[..., Any], execute: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(send)
        async def checked(sender: Any, *arguments: Any, **options: Any) -> Any:
            # A connection, or a statement.
            connection = getattr(sender, "_connection", sender)
            if self._is_kept(connection) and (change := self._change(connection, connection.is_in_transaction())):
                # A failed transaction cannot write.
                with suppress(import_module("asyncpg").InFailedSQLTransactionError):
                    await execute(connection, change)
                    self._has_changed(connection)
            return await send(sender, *arguments, **options)

        return checked

    def _refusing(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def checked(sender: Any, *arguments: Any, **options: Any) -> Any:
            if self._is_kept(getattr(sender, "_connection", sender)):
                self._refuse_to_tests()
            return method(sender, *arguments, **options)

        return checked

    def _of_psycopg(self, send: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(send)
        def checked(connection: Any, *arguments: Any, **options: Any) -> Any:
            if self._is_kept(connection) and (change := self._change(connection, _begun(connection))):
                # Synchronous also on an asynchronous connection; whoever waits holds its lock.
                connection.pgconn.exec_(change.encode())
                self._has_changed(connection)
            return send(connection, *arguments, **options)

        return checked

    def _check_psycopg2(self, connection: Any, factory: Any) -> None:
        if self._is_kept(connection) and (change := self._change(connection, is_begun := _begun(connection))):
            if is_begun:
                with factory.cursor(connection) as own:
                    own.execute(change)
            else:
                # Without a statement, whose commit would end a named cursor.
                factory.set_session(connection, readonly="DEFAULT" if self._may_write else True)
            self._has_changed(connection)

    def _is_kept(self, connection: Any) -> bool:
        # The shared connection may be opened by the startup, too.
        return connection is not self._policy.shared.raw and connection in self._opened

    @property
    def _may_write(self) -> bool:
        """Whether the startup or the shutdown runs."""
        mode = self._policy.shared.transactions.mode
        return mode == "seeding" or (mode == "test" and self._policy.direct_refusal is None)

    def _refuse_to_tests(self) -> None:
        policy = self._policy
        if IN_LIFESPAN.get() or self._may_write:
            return
        policy.isolate_if_needed(is_async=False)
        # Not at the end of a fixture with a wider scope.
        if policy.shared.transactions.mode != "outside":
            raise policy.refusals.add(KEPT_BY_LIFESPAN.format(policy.place()))

    def _change(self, connection: Any, is_in_transaction: bool | None) -> str:
        """What to send before the next statement, or ""; raises `IsolationError` if a test uses the connection."""
        self._refuse_to_tests()
        if is_in_transaction is None:
            return ""
        is_read_only = not self._may_write
        is_new = is_read_only != self._opened[connection]
        # Before each transaction: the reset of a pool undoes it.
        if self._policy.shared.transactions.mode == "seeding" or (is_in_transaction and not is_new):
            return ""
        change = READ_ONLY.format("on" if is_read_only else "off")
        return f"{change}; {THIS_TRANSACTION}" if is_in_transaction and is_read_only else change

    def _has_changed(self, connection: Any) -> None:
        self._opened[connection] = not self._may_write


def _begun(connection: Any) -> bool | None:
    """Whether a transaction has begun; None if nothing can be sent, or nothing be written. Of psycopg and psycopg2."""
    # psycopg2's asynchronous connections and two-phase transactions; psycopg's pipelines.
    is_other = getattr(connection, "async_", 0) or getattr(connection, "status", 0) == PREPARED
    pipeline = getattr(getattr(connection, "pgconn", None), "pipeline_status", 0)
    return None if is_other or pipeline else {0: False, 2: True}.get(connection.info.transaction_status)
