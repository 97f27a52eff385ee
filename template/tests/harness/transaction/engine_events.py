"""Listeners of SQLAlchemy's events on connections and statements, for the shared connection of a savepoint test."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import ref

from sqlalchemy import Connection, Engine, ExceptionContext, Pool
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import greenlet_spawn

from ..core.requests import REQUEST, Request
from .asyncpg_proxy import AsyncpgProxy, ExecuteMutex
from .commit_effects import local_settings, on_commit
from .fresh_session import TEST_SESSION
from .logical_connection import IN_LIFESPAN, LogicalConnection, NextStatement
from .raw_connection import is_of_server
from .refusals import LEVEL, TRANSACTION, TWO_PHASE
from .shared_connection import SharedConnection
from .statement_kind import QUOTED, SAVEPOINTS, Kind, kind_of
from .synchronous_connection import SynchronousConnection

PREPARES = re.compile(r"\bprepared?\b", re.I)


class Proxy(Protocol):
    """A proxy on the shared connection."""

    logical: LogicalConnection
    shared: SharedConnection | SynchronousConnection


@dataclass(frozen=True)
class Checkout:
    """A connection that is checked out of its pool.

    Attributes:
        place: the place in the project that checked it out.
        request: the request that was handled; None outside of requests.
        fairy: SQLAlchemy's proxy of the checked-out connection.
    """

    place: str | None
    request: Request | None
    fairy: "ref[Any]"

    def __str__(self) -> str:
        text = f"a connection checked out for {self.request}" if self.request else "a checked-out connection"
        return f"{text} ({self.place})" if self.place else text


@dataclass
class EngineEvents:
    """Listens to the events of all engines.

    Args:
        place: returns the calling place in the project.

    Attributes:
        checkouts: connections that tests and requests have checked out, by their records in the pool.
        lifespan_checkouts: connections that tasks of the lifespan have checked out.
    """

    place: Callable[[], str | None]
    checkouts: dict[ConnectionPoolEntry, Checkout] = field(default_factory=dict)
    lifespan_checkouts: dict[ConnectionPoolEntry, Checkout] = field(default_factory=dict)

    def listeners(self) -> list[tuple[type, str, Callable[..., None]]]:
        """Target, event and listener, as for `event.listen`."""
        return [
            (Engine, "before_cursor_execute", self.before),
            (Engine, "handle_error", self.failed),
            (Pool, "connect", self.connected),
            (Pool, "checkout", self.checked_out),
            (Pool, "checkin", self.checked_in),
        ]

    def before(
        self, connection: Connection, cursor: object, sql: str, parameters: Any, context: object, executemany: bool
    ) -> None:
        """Record the statement that is about to be sent."""
        adapted: Any = connection.connection.dbapi_connection
        proxy = _proxy(adapted)
        if proxy is None:
            return
        shared, logical, kind = proxy.shared, proxy.logical, kind_of(sql)
        shared.isolate_if_needed()
        if kind is Kind.TRANSACTION:
            shared.transactions.refuse(TWO_PHASE if PREPARES.search(QUOTED.sub(" ", sql)) else TRANSACTION)
        logical.begin(is_of_test=TEST_SESSION in connection.get_execution_options())
        is_autocommit = adapted.autocommit
        # SQLAlchemy resets the level to the server's default by name.
        levels = (logical.level, connection.dialect.default_isolation_level)
        if not is_autocommit and not logical.is_connecting and _level(adapted, proxy) not in levels:
            shared.transactions.refuse(LEVEL)
        is_read_only = getattr(adapted, "readonly", None) or getattr(adapted, "read_only", None)
        modes = ("READ ONLY",) if is_read_only else ()
        name = sql.split()[-1].strip('";').lower() if kind in SAVEPOINTS else ""
        logical.next_statement = NextStatement(kind, is_autocommit, modes, local_settings(sql, parameters), name)
        if effect := on_commit(sql):
            logical.commit_effects.tables.append(effect)
        if isinstance(proxy, AsyncpgProxy):
            proxy.is_entered = not is_autocommit

    def failed(self, error: ExceptionContext) -> None:
        """Record that the transaction has failed: PostgreSQL refuses further statements."""
        connection = error.connection
        if connection is None or connection.closed or connection.invalidated or error.is_disconnect:
            return
        proxy = _proxy(connection.connection.dbapi_connection)
        # In AUTOCOMMIT, its transaction is over already.
        if proxy is not None and is_of_server(error.original_exception):
            proxy.logical.has_failed = bool(proxy.shared.transactions.savepoints.own(proxy.logical))

    def connected(self, adapted: Any, record: object) -> None:
        """A new connection in a pool: its statements are serialized with those of other connections."""
        proxy = _proxy(adapted)
        if isinstance(proxy, AsyncpgProxy):
            # The cursors of `psycopg_proxy` use the mutex themselves.
            adapted._execute_mutex = ExecuteMutex(proxy)

    def checked_out(self, adapted: Any, record: ConnectionPoolEntry, fairy: Any) -> None:
        """A connection is checked out; the first checkout ends its setup."""
        proxy = _proxy(adapted)
        if proxy is not None and proxy.logical.is_connecting:
            proxy.logical.level = _level(adapted, proxy)
            if isinstance(proxy.shared, SharedConnection):
                adapted.run_async(lambda _: proxy.shared.end_connecting(proxy.logical))
            else:
                proxy.shared.end_connecting(proxy.logical)
        checkouts = self.lifespan_checkouts if IN_LIFESPAN.get() else self.checkouts
        checkouts[record] = Checkout(self.place(), REQUEST.get(), ref(fairy))

    def checked_in(self, adapted: Any, record: ConnectionPoolEntry) -> None:
        """A connection is returned to its pool."""
        self.checkouts.pop(record, None)
        self.lifespan_checkouts.pop(record, None)
        if (proxy := _proxy(adapted)) is not None:
            proxy.logical.end()


def is_separate(record: ConnectionPoolEntry) -> bool:
    """Whether a connection is not a proxy on the shared connection."""
    return not hasattr(record.driver_connection, "logical")


def is_asynchronous(record: ConnectionPoolEntry) -> bool:
    """Whether a connection belongs to an asynchronous engine."""
    return hasattr(record.dbapi_connection, "run_async")


async def invalidate(checkout: Checkout) -> None:
    """Close a connection that was not returned, so that no later test reports it."""
    if (fairy := checkout.fairy()) is None:
        return
    if hasattr(fairy.dbapi_connection, "run_async"):
        await greenlet_spawn(fairy.invalidate)
    else:
        fairy.invalidate()


def _proxy(adapted: Any) -> Proxy | None:
    # SQLAlchemy has an adapter for an asynchronous connection only.
    proxy = getattr(adapted, "driver_connection", adapted)
    return proxy if hasattr(proxy, "logical") else None


def _level(adapted: Any, proxy: Any) -> str | None:
    # The level of asyncpg is an attribute of SQLAlchemy's adapter, that of psycopg of the connection.
    level = getattr(adapted, "isolation_level", None) or getattr(proxy, "isolation_level", None)
    name = str(getattr(level, "name", level) or "").upper().replace("_", " ")
    return None if name in ("", "AUTOCOMMIT") else name
