"""What SQLAlchemy says of the engines' connections and statements, for the connection that a savepoint test shares."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import ref

from sqlalchemy import Connection, Engine, ExceptionContext, Pool
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import greenlet_spawn

from ..core.requests import REQUEST, Request
from .asyncpg_proxy import AsyncpgProxy, Turns
from .commit_effects import local_settings, on_commit
from .fresh_session import OF_TEST
from .members import OF_LIFESPAN, Announced, Member
from .refusals import LEVEL, TRANSACTION
from .shared_connection import SharedConnection
from .statement_kind import Kind, kind_of


class Proxy(Protocol):
    """A connection of a driver's on the shared one.

    Attributes:
        is_entered: whether SQLAlchemy is about to send a statement, or has, in this transaction.
    """

    member: Member
    shared: SharedConnection
    is_entered: bool


@dataclass(frozen=True)
class Checkout:
    """A connection that is lent by its pool.

    Attributes:
        place: in the project, where it was asked for.
        request: for which; None outside of any.
        fairy: what SQLAlchemy calls what is lent.
    """

    place: str | None
    request: Request | None
    fairy: "ref[Any]"

    def __str__(self) -> str:
        taken = f"a connection that was taken for {self.request}" if self.request else "a connection that was taken"
        return f"{taken} ({self.place})" if self.place else taken


@dataclass
class EngineEvents:
    """Listens to all engines.

    Args:
        place: says where in the project it was called from.

    Attributes:
        lent: the connections that tests and requests have, and not given back, by their records in the pool.
        lent_to_lifespan: those that tasks of the lifespan have.
    """

    place: Callable[[], str | None]
    lent: dict[ConnectionPoolEntry, Checkout] = field(default_factory=dict)
    lent_to_lifespan: dict[ConnectionPoolEntry, Checkout] = field(default_factory=dict)

    def listeners(self) -> list[tuple[type, str, Callable[..., None]]]:
        """What listens to which event."""
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
        """A statement is about to be sent: announce it."""
        adapted: Any = connection.connection.dbapi_connection
        proxy = _proxy(adapted)
        if proxy is None:
            return
        shared, member, kind = proxy.shared, proxy.member, kind_of(sql)
        shared.isolate_if_demanded()
        if kind is Kind.TRANSACTION:
            shared.transactions.refuse(TRANSACTION)
        member.begin(is_of_test=OF_TEST in connection.get_execution_options())
        is_autocommit = adapted.autocommit
        # What SQLAlchemy sets back is the server's own by its name.
        levels = (member.level, connection.dialect.default_isolation_level)
        if not is_autocommit and not member.is_connecting and _level(adapted, proxy) not in levels:
            shared.transactions.refuse(LEVEL)
        is_read_only = getattr(adapted, "readonly", None) or getattr(adapted, "read_only", None)
        modes = ("READ ONLY",) if is_read_only else ()
        member.announced = Announced(kind, is_autocommit, modes, local_settings(sql, parameters))
        if at_commit := on_commit(sql):
            member.at_commit.tables.append(at_commit)
        proxy.is_entered = not is_autocommit

    def failed(self, error: ExceptionContext) -> None:
        """Note that the server refuses what comes next."""
        connection = error.connection
        if connection is None or connection.closed or connection.invalidated or error.is_disconnect:
            return
        proxy = _proxy(connection.connection.dbapi_connection)
        # In AUTOCOMMIT, its transaction is over already.
        if proxy is not None and _is_of_server(error.original_exception):
            proxy.member.has_failed = bool(proxy.shared.transactions.savepoints.own(proxy.member))

    def connected(self, adapted: Any, record: object) -> None:
        """A pool has a new connection: its statements take turns with those of the others."""
        proxy = _proxy(adapted)
        if isinstance(proxy, AsyncpgProxy):
            # psycopg's cursors take turns by themselves.
            adapted._execute_mutex = Turns(proxy)

    def checked_out(self, adapted: Any, record: ConnectionPoolEntry, fairy: Any) -> None:
        """A pool lends a connection; the first time, it is set up."""
        proxy = _proxy(adapted)
        if proxy is not None and proxy.member.is_connecting:
            proxy.member.level = _level(adapted, proxy)
            adapted.run_async(lambda _: proxy.shared.end_connecting(proxy.member))
        lent = self.lent_to_lifespan if OF_LIFESPAN.get() else self.lent
        lent[record] = Checkout(self.place(), REQUEST.get(), ref(fairy))

    def checked_in(self, adapted: Any, record: ConnectionPoolEntry) -> None:
        """A connection is given back."""
        self.lent.pop(record, None)
        self.lent_to_lifespan.pop(record, None)
        if (proxy := _proxy(adapted)) is not None:
            proxy.member.end()


def is_apart(record: ConnectionPoolEntry) -> bool:
    """Whether a connection is none of those on the shared one."""
    return not hasattr(record.driver_connection, "member")


async def take_back(checkout: Checkout) -> None:
    """Cut a connection that nobody gives back: a later test would be blamed for it."""
    if (fairy := checkout.fairy()) is not None:
        await greenlet_spawn(fairy.invalidate)


def _proxy(adapted: Any) -> Proxy | None:
    proxy = getattr(adapted, "driver_connection", None)
    return proxy if hasattr(proxy, "member") else None


def _level(adapted: Any, proxy: Any) -> str | None:
    # asyncpg's is SQLAlchemy's to know, psycopg's the connection's.
    level = getattr(adapted, "isolation_level", None) or getattr(proxy, "isolation_level", None)
    name = str(getattr(level, "name", level) or "").upper().replace("_", " ")
    return None if name in ("", "AUTOCOMMIT") else name


def _is_of_server(error: BaseException) -> bool:
    # What a driver refuses by itself has no severity, and does not end the transaction.
    error = error.__cause__ or error
    return (getattr(error, "severity", None) or getattr(getattr(error, "diag", None), "severity", None)) is not None
