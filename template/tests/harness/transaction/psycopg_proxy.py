"""A proxy that an engine on psycopg gets as its connection in a savepoint test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from .logical_connection import LogicalConnection, NextStatement
from .shared_connection import SharedConnection
from .statement_kind import Kind

# The pool's ping of the connection, in AUTOCOMMIT.
PING = ";"


def psycopg_proxy(shared: SharedConnection) -> Any:
    """A `psycopg.AsyncConnection` on the shared connection, with its state."""
    from psycopg import AsyncConnection

    raw = shared.raw

    class Cursor(raw.cursor_factory):  # type: ignore[misc,name-defined]  # the application's class
        def __init__(self, connection: Any, **options: Any) -> None:
            super().__init__(connection, **options)
            self._of, self._options = shared.raw, options

        async def execute(self, *arguments: Any, **options: Any) -> Any:
            async with self._conn.sending(*arguments):
                if self._of is not shared.raw:
                    self.__init__(self._conn, **self._options)  # type: ignore[misc]  # the connection was closed and reopened
                return await super().execute(*arguments, **options)

        async def executemany(self, *arguments: Any, **options: Any) -> None:
            async with self._conn.sending():
                await super().executemany(*arguments, **options)

        @asynccontextmanager
        async def copy(self, *arguments: Any, **options: Any) -> AsyncIterator[Any]:
            async with self._conn.sending(), super().copy(*arguments, **options) as copy:
                yield copy

    class ServerCursor(raw.server_cursor_factory):  # type: ignore[misc,name-defined]
        async def execute(self, *arguments: Any, **options: Any) -> Any:
            async with self._conn.sending():
                return await super().execute(*arguments, **options)

    class PsycopgProxy(AsyncConnection[Any]):
        __slots__ = ("_is_closed", "_modes", "logical", "shared")

        logical: LogicalConnection
        shared: SharedConnection
        _is_closed: bool
        _modes: dict[str, Any]

        # Properties override the attributes of the shared connection in `__dict__`.
        cursor_factory = property(lambda self: Cursor)
        server_cursor_factory = property(lambda self: ServerCursor)

        @property
        def closed(self) -> bool:
            return self._is_closed or shared.transactions.is_lost

        @property  # type: ignore[misc]  # set by `set_autocommit`, as psycopg's own may be
        def autocommit(self) -> bool:
            return bool(self._modes.get("autocommit"))

        async def set_autocommit(self, value: bool) -> None:
            self._modes["autocommit"] = value

        @property  # type: ignore[misc]
        def isolation_level(self) -> Any:
            return self._modes.get("isolation_level")

        async def set_isolation_level(self, value: Any) -> None:
            self._modes["isolation_level"] = value

        @property  # type: ignore[misc]
        def read_only(self) -> Any:
            return self._modes.get("read_only")

        async def set_read_only(self, value: Any) -> None:
            self._modes["read_only"] = value

        @property  # type: ignore[misc]
        def deferrable(self) -> Any:
            return self._modes.get("deferrable")

        async def set_deferrable(self, value: Any) -> None:
            self._modes["deferrable"] = value

        @asynccontextmanager
        async def sending(self, *arguments: object) -> AsyncIterator[None]:
            if self.autocommit and self.logical.next_statement is None:
                if arguments[:1] == (PING,) and shared.raw is not None:
                    async with shared.mutex:
                        yield
                    return
                self.logical.next_statement = NextStatement(Kind.WRITE, is_autocommit=True)
            self.logical.begin(is_of_test=False)
            async with shared.statement(self.logical):
                self.__dict__ = shared.raw.__dict__
                yield

        async def commit(self) -> None:
            await shared.commit(self.logical)

        async def rollback(self) -> None:
            await shared.roll_back(self.logical)

        async def close(self) -> None:
            if not self.closed:
                self.logical.has_failed = True
                await shared.roll_back(self.logical)
            self._is_closed = True

        @asynccontextmanager
        async def transaction(self, *arguments: Any, **options: Any) -> AsyncIterator[Any]:
            begins = self.logical.task is None
            async with self.sending():
                pass
            try:
                async with super().transaction(*arguments, **options) as transaction:
                    yield transaction
            except BaseException:
                if begins:
                    await self.rollback()
                raise
            if begins:
                await self.commit()

        def __del__(self, *arguments: object) -> None:
            if not self.closed:
                shared.transactions.terminated.append(self.logical)

    proxy = PsycopgProxy.__new__(PsycopgProxy)
    proxy.__dict__ = raw.__dict__
    proxy._is_closed, proxy._modes = False, {}
    proxy.logical, proxy.shared = LogicalConnection(), shared
    return proxy
