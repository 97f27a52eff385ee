"""What an engine on psycopg gets for a connection of its own, on the one that a savepoint test shares."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from .members import Announced, Member
from .shared_connection import SharedConnection
from .statement_kind import Kind

# The pool's question whether the connection is there, in AUTOCOMMIT.
PING = ";"


def psycopg_proxy(shared: SharedConnection) -> Any:
    """A `psycopg.AsyncConnection` with the state of the shared one, but for its transactions and its end."""
    from psycopg import AsyncConnection

    raw = shared.raw

    class Cursor(raw.cursor_factory):  # type: ignore[misc,name-defined]  # what the application has asked for
        def __init__(self, connection: Any, **options: Any) -> None:
            super().__init__(connection, **options)
            self._of, self._options = shared.raw, options

        async def execute(self, *arguments: Any, **options: Any) -> Any:
            async with self._conn.turn(*arguments):
                if self._of is not shared.raw:
                    self.__init__(self._conn, **self._options)  # type: ignore[misc]  # closed since, and opened again
                return await super().execute(*arguments, **options)

        async def executemany(self, *arguments: Any, **options: Any) -> None:
            async with self._conn.turn():
                await super().executemany(*arguments, **options)

        @asynccontextmanager
        async def copy(self, *arguments: Any, **options: Any) -> AsyncIterator[Any]:
            async with self._conn.turn(), super().copy(*arguments, **options) as copy:
                yield copy

    class ServerCursor(raw.server_cursor_factory):  # type: ignore[misc,name-defined]
        async def execute(self, *arguments: Any, **options: Any) -> Any:
            async with self._conn.turn():
                return await super().execute(*arguments, **options)

    class PsycopgProxy(AsyncConnection[Any]):
        __slots__ = ("_is_closed", "_modes", "is_entered", "member", "shared")

        member: Member
        shared: SharedConnection
        is_entered: bool
        _is_closed: bool
        _modes: dict[str, Any]

        # The shared one has its own in its `__dict__`; a property comes first.
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
        async def turn(self, *arguments: object) -> AsyncIterator[None]:
            if self.autocommit and self.member.announced is None:
                if arguments[:1] == (PING,) and shared.raw is not None:
                    async with shared.mutex:
                        yield
                    return
                self.member.announced = Announced(Kind.WRITE, is_autocommit=True)
            self.member.begin(is_of_test=False)
            async with shared.statement(self.member):
                self.__dict__ = shared.raw.__dict__
                yield

        async def commit(self) -> None:
            await shared.commit(self.member)

        async def rollback(self) -> None:
            await shared.roll_back(self.member)

        async def close(self) -> None:
            if not self.closed:
                self.member.has_failed = True
                await shared.roll_back(self.member)
            self._is_closed = True

        @asynccontextmanager
        async def transaction(self, *arguments: Any, **options: Any) -> AsyncIterator[Any]:
            begins = self.member.task is None
            async with self.turn():
                pass
            async with super().transaction(*arguments, **options) as transaction:
                yield transaction
            if begins:
                await self.commit()

        def __del__(self, *arguments: object) -> None:
            if not self.closed:
                shared.transactions.lost.append(self.member)

    proxy = PsycopgProxy.__new__(PsycopgProxy)
    proxy.__dict__ = raw.__dict__
    proxy._is_closed, proxy._modes, proxy.is_entered = False, {}, False
    proxy.member, proxy.shared = Member(), shared
    return proxy
