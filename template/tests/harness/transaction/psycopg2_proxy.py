"""A proxy that an engine on psycopg2 gets as its connection in a savepoint test."""

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .logical_connection import LogicalConnection, NextStatement
from .statement_kind import Kind
from .synchronous_connection import SynchronousConnection

# psycopg2's numbers of the isolation levels; 0 is AUTOCOMMIT.
LEVELS = {1: "READ COMMITTED", 2: "REPEATABLE READ", 3: "SERIALIZABLE", 4: "READ UNCOMMITTED"}
NUMBERS = {name: number for number, name in LEVELS.items()}
# Methods of a cursor that send a statement; the first argument is not always SQL.
SENDING = ("execute", "executemany", "callproc", "copy_from", "copy_to", "copy_expert")


class Psycopg2Proxy:
    """A `psycopg2.extensions.connection` on the shared connection.

    Attributes:
        isolation_level: the name of the level; None for the server's default.
        readonly: whether transactions are read-only; None for the server's default.
        deferrable: as psycopg2's.
        autocommit: as psycopg2's.
        cursor_factory: the class that a listener has set; None for that of the engine.
    """

    def __init__(self, shared: SynchronousConnection) -> None:
        accept_proxies()
        self.shared, self.logical = shared, LogicalConnection()
        self.autocommit = self._is_closed = False
        self.cursor_factory: Any = None
        self.isolation_level: str | None = None
        self.readonly: bool | None = None
        self.deferrable: bool | None = None

    @property
    def raw(self) -> Any:
        """The connection of psycopg2; it may change between tests."""
        self.shared.reopen_if_closed()
        return self.shared.raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)

    @property
    def closed(self) -> int:
        """As psycopg2's: not 0 if it is closed."""
        return int(self._is_closed or self.shared.transactions.is_lost)

    def cursor(self, name: str | None = None, cursor_factory: Any = None, **options: Any) -> Any:
        """As psycopg2's."""
        raw = self.raw
        factory = cursor_factory or self.cursor_factory or raw.cursor_factory or _plain_cursor()
        if name is not None:
            # psycopg2 is in autocommit mode, in which a cursor of the server ends with its statement.
            options["withhold"] = True
        return raw.cursor(name, cursor_factory=functools.partial(_sending_cursor(factory), self), **options)

    def set_isolation_level(self, level: int | str | None) -> None:
        """As psycopg2's."""
        number = NUMBERS.get(level.upper().replace("_", " ")) if isinstance(level, str) else level
        self.autocommit = number == 0
        self.isolation_level = LEVELS.get(number or 0)

    def set_session(
        self,
        isolation_level: int | str | None = None,
        readonly: bool | None = None,
        deferrable: bool | None = None,
        autocommit: bool | None = None,
    ) -> None:
        """As psycopg2's."""
        if isolation_level is not None:
            self.set_isolation_level(isolation_level)
        self.readonly = self.readonly if readonly is None else readonly
        self.deferrable = self.deferrable if deferrable is None else deferrable
        self.autocommit = self.autocommit if autocommit is None else autocommit

    def commit(self) -> None:
        """As psycopg2's."""
        self.shared.commit(self.logical)

    def rollback(self) -> None:
        """As psycopg2's."""
        self.shared.roll_back(self.logical)

    def close(self) -> None:
        """Roll back the transaction of the proxy."""
        if not self.closed:
            self.logical.has_failed = True
            self.shared.roll_back(self.logical)
        self._is_closed = True

    def __enter__(self) -> "Psycopg2Proxy":
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self.commit() if kind is None else self.rollback()

    def __del__(self) -> None:
        if not self.closed:
            self.shared.transactions.terminated.append(self.logical)

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Around a statement of a cursor."""
        if self.autocommit and self.logical.next_statement is None:
            self.logical.next_statement = NextStatement(Kind.WRITE, is_autocommit=True)
        self.logical.begin(is_of_test=False)
        with self.shared.statement(self.logical):
            yield


def _plain_cursor() -> Any:
    from psycopg2.extensions import cursor

    return cursor


@functools.cache
def _sending_cursor(factory: Any) -> Any:
    """A subclass of a cursor's class, whose first argument is the proxy."""

    class Cursor(factory):  # type: ignore[misc]  # the application's class
        def __init__(self, proxy: Psycopg2Proxy, *arguments: Any, **options: Any) -> None:
            self._proxy = proxy
            super().__init__(*arguments, **options)

    for name in SENDING:
        setattr(Cursor, name, _sending(getattr(factory, name)))
    return Cursor


def _sending(method: Any) -> Any:
    @functools.wraps(method)
    def send(self: Any, *arguments: Any, **options: Any) -> Any:
        if self._proxy.logical.is_sending:
            # `executemany` of a subclass of psycopg2's cursor calls `execute`.
            return method(self, *arguments, **options)
        with self._proxy.sending():
            return method(self, *arguments, **options)

    return send


@functools.cache
def accept_proxies() -> None:
    """Let `register_type` accept a proxy: it is written in C, and accepts psycopg2's own classes only.

    Not undone: it does the same as before for psycopg2's own classes.
    """
    from psycopg2 import extensions

    register_type = extensions.register_type

    @functools.wraps(register_type)
    def register(kind: Any, connection: Any = None) -> None:
        register_type(kind, connection.raw if isinstance(connection, Psycopg2Proxy) else connection)

    # psycopg2.extras and other libraries have imported it by name.
    for module in list(sys.modules.values()):
        # `sys.modules[name] = None` forbids an import.
        if getattr(module, "__dict__", {}).get("register_type") is register_type:
            vars(module)["register_type"] = register
