"""Connections that the lifespan opens outside of the shared connection of a savepoint test, and keeps open.

They stay connected to the database of the worker, in which every later test would see what they commit. So a test may
not use them, and a task of the lifespan may only read by them. The startup and the shutdown may write.
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

# asyncpg's methods that send statements; its pools and transactions use them too. Before 0.30, it has no fetchmany.
OF_ASYNCPG = ["execute", "executemany", "fetch", "fetchmany", "fetchrow", "fetchval", "prepare"]
OF_ASYNCPG += ["copy_from_query", "copy_from_table", "copy_records_to_table", "copy_to_table"]

READ_ONLY = "SET default_transaction_read_only = {}"
# Of a transaction that has begun already.
THIS_TRANSACTION = "SET TRANSACTION READ ONLY"

# Sets an attribute until the harness stops listening.
Replace = Callable[[Any, str, Any], None]


class Policy(Protocol):
    """Knows whether a test is running, and the place of the call."""

    direct_refusal: str | None
    refusals: Refusals
    shared: SharedConnection

    def place(self) -> str: ...


class KeptConnections:
    """The drivers' connections of the lifespan."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        # Whether each is read-only.
        self._opened: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()

    def apply(self, replace: Replace) -> None:
        """Check each use of a connection of asyncpg and psycopg; see `options` for psycopg2."""
        with suppress(ImportError):
            connection = import_module("asyncpg").Connection
            for name in filter(functools.partial(hasattr, connection), OF_ASYNCPG):
                replace(connection, name, self._of_asyncpg(getattr(connection, name), connection.execute))
            replace(connection, "transaction", self._refusing(connection.transaction))
        with suppress(ImportError):
            psycopg = import_module("psycopg")
            for connection in (psycopg.Connection, psycopg.AsyncConnection):
                replace(connection, "wait", self._of_psycopg(connection.wait))

    def add(self, connection: Any, *, is_read_only: bool) -> None:
        """Called with a new connection of a driver."""
        with suppress(TypeError):
            self._opened[connection] = is_read_only

    def options(self, driver: str, options: dict[str, Any]) -> dict[str, Any]:
        """The options, with a class that checks each new cursor: psycopg2's connections are written in C."""
        if driver != "psycopg2":
            return options
        factory = options.get("connection_factory") or import_module("psycopg2.extensions").connection
        return {**options, "connection_factory": self._of_psycopg2(factory)} if isinstance(factory, type) else options

    def _of_asyncpg(self, send: Callable[..., Any], execute: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(send)
        async def checked(connection: Any, *arguments: Any, **options: Any) -> Any:
            if self._is_kept(connection) and (change := self._change(connection, connection.is_in_transaction())):
                # A failed transaction cannot write.
                with suppress(import_module("asyncpg").InFailedSQLTransactionError):
                    await execute(connection, change)
            return await send(connection, *arguments, **options)

        return checked

    def _refusing(self, transaction: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(transaction)
        def checked(connection: Any, *arguments: Any, **options: Any) -> Any:
            # When BEGIN fails, asyncpg takes the next transaction for a nested one.
            if self._is_kept(connection):
                self._refuse_to_tests()
            return transaction(connection, *arguments, **options)

        return checked

    def _of_psycopg(self, wait: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(wait)
        def checked(connection: Any, *arguments: Any, **options: Any) -> Any:
            if self._is_kept(connection) and (change := self._change(connection, _begun(connection))):
                # Synchronous also on an asynchronous connection; whoever waits holds its lock.
                connection.pgconn.exec_(change.encode())
            return wait(connection, *arguments, **options)

        return checked

    def _of_psycopg2(self, factory: type) -> type:
        def cursor(connection: Any, *arguments: Any, **options: Any) -> Any:
            if self._is_kept(connection) and (change := self._change(connection, is_begun := _begun(connection))):
                with factory.cursor(connection) as own:  # type: ignore[attr-defined]
                    own.execute(change)
                if not is_begun:
                    connection.commit()
            return factory.cursor(connection, *arguments, **options)  # type: ignore[attr-defined]

        return type(factory.__name__, (factory,), {"cursor": cursor})

    def _is_kept(self, connection: Any) -> bool:
        # The shared connection may be opened by the startup, too.
        return connection is not self._policy.shared.raw and connection in self._opened

    @property
    def _may_write(self) -> bool:
        """Whether the startup or the shutdown runs."""
        mode = self._policy.shared.transactions.mode
        return mode == "seeding" or (mode == "test" and self._policy.direct_refusal is None)

    def _refuse_to_tests(self) -> None:
        if not (IN_LIFESPAN.get() or self._may_write):
            raise self._policy.refusals.add(KEPT_BY_LIFESPAN.format(self._policy.place()))

    def _change(self, connection: Any, is_in_transaction: bool | None) -> str:
        """What to send before the next statement, or ""; raises `IsolationError` if a test uses the connection."""
        self._refuse_to_tests()
        if is_in_transaction is None:
            return ""
        is_read_only = not self._may_write
        is_new, self._opened[connection] = is_read_only != self._opened[connection], is_read_only
        # Before each transaction: the reset of a pool undoes it.
        if self._policy.shared.transactions.mode == "seeding" or (is_in_transaction and not is_new):
            return ""
        change = READ_ONLY.format("on" if is_read_only else "off")
        return f"{change}; {THIS_TRANSACTION}" if is_in_transaction and is_read_only else change


def _begun(connection: Any) -> bool | None:
    """Whether a transaction has begun; None if nothing can be sent, or nothing be written. Of psycopg and psycopg2."""
    return {0: False, 2: True}.get(connection.info.transaction_status)
