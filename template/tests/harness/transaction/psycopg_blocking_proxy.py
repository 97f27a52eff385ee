"""A proxy that a synchronous engine on psycopg gets as its connection in a savepoint test."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .logical_connection import LogicalConnection, NextStatement
from .statement_kind import Kind
from .synchronous_connection import SynchronousConnection

# The pool's ping of the connection, in AUTOCOMMIT.
PING = ";"


def blocking_psycopg_proxy(shared: SynchronousConnection) -> Any:
    """A `psycopg.Connection` on the shared connection, with its state."""
    from psycopg import Connection

    raw = shared.raw

    class Cursor(raw.cursor_factory):  # type: ignore[misc,name-defined]  # the application's class
        def __init__(self, connection: Any, **options: Any) -> None:
            super().__init__(connection, **options)
            self._of, self._options = shared.raw, options

        def execute(self, *arguments: Any, **options: Any) -> Any:
            with self._conn.sending(*arguments):
                if self._of is not shared.raw:
                    self._conn._follow()
                    self.__init__(self._conn, **self._options)  # type: ignore[misc]  # it was closed and opened again
                return super().execute(*arguments, **options)

        def executemany(self, *arguments: Any, **options: Any) -> None:
            with self._conn.sending():
                super().executemany(*arguments, **options)

        def stream(self, *arguments: Any, **options: Any) -> Iterator[Any]:
            # Read at once: a generator may continue in another thread, after a statement of another session.
            with self._conn.sending():
                rows = list(super().stream(*arguments, **options))
            yield from rows

        @contextmanager
        def copy(self, *arguments: Any, **options: Any) -> Iterator[Any]:
            with self._conn.sending(is_copy=True), super().copy(*arguments, **options) as copy:
                yield copy

    class ServerCursor(raw.server_cursor_factory):  # type: ignore[misc,name-defined]
        def execute(self, *arguments: Any, **options: Any) -> Any:
            with self._conn.sending():
                return super().execute(*arguments, **options)

    class PsycopgProxy(Connection[Any]):
        __slots__ = ("_is_closed", "_modes", "logical", "shared")

        logical: LogicalConnection
        shared: SynchronousConnection
        _is_closed: bool
        _modes: dict[str, Any]

        # Properties override the attributes of the shared connection in `__dict__`.
        cursor_factory = property(lambda self: Cursor)
        server_cursor_factory = property(lambda self: ServerCursor)

        @property
        def closed(self) -> bool:
            return self._is_closed or shared.transactions.is_lost

        def set_autocommit(self, value: bool) -> None:
            self._modes["autocommit"] = value

        def set_isolation_level(self, value: Any) -> None:
            self._modes["isolation_level"] = value

        def set_read_only(self, value: Any) -> None:
            self._modes["read_only"] = value

        def set_deferrable(self, value: Any) -> None:
            self._modes["deferrable"] = value

        autocommit = property(lambda self: bool(self._modes.get("autocommit")), set_autocommit)
        isolation_level = property(lambda self: self._modes.get("isolation_level"), set_isolation_level)
        read_only = property(lambda self: self._modes.get("read_only"), set_read_only)
        deferrable = property(lambda self: self._modes.get("deferrable"), set_deferrable)

        def cursor(self, *arguments: Any, **options: Any) -> Any:
            self._follow()
            return super().cursor(*arguments, **options)

        def _follow(self) -> None:
            # The shared connection may have been closed and opened again.
            shared.reopen_if_closed()
            self.__dict__ = shared.raw.__dict__

        @contextmanager
        def sending(self, *arguments: object, is_copy: bool = False) -> Iterator[None]:
            if self.autocommit and self.logical.next_statement is None:
                if arguments[:1] == (PING,) and shared.raw is not None:
                    with shared.free:
                        yield
                    return
                self.logical.next_statement = NextStatement(Kind.WRITE, is_autocommit=True)
            self.logical.begin(is_of_test=False)
            with shared.statement(self.logical, is_copy=is_copy):
                yield

        def commit(self) -> None:
            shared.commit(self.logical)

        def rollback(self) -> None:
            shared.roll_back(self.logical)

        def close(self) -> None:
            if not self.closed:
                self.logical.has_failed = True
                shared.roll_back(self.logical)
            self._is_closed = True

        @contextmanager
        def transaction(self, *arguments: Any, **options: Any) -> Iterator[Any]:
            begins = self.logical.task is None
            self._follow()
            with self.sending():
                pass
            try:
                with super().transaction(*arguments, **options) as transaction:
                    yield transaction
            except BaseException:
                if begins:
                    self.rollback()
                raise
            if begins:
                self.commit()

        def __del__(self, *arguments: object) -> None:
            if not self.closed:
                shared.transactions.terminated.append(self.logical)

    proxy = PsycopgProxy.__new__(PsycopgProxy)
    proxy.__dict__ = raw.__dict__
    proxy._is_closed, proxy._modes = False, {}
    proxy.logical, proxy.shared = LogicalConnection(), shared
    return proxy
