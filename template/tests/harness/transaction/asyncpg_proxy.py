"""A proxy that an engine on asyncpg gets as its connection in a savepoint test.

The engine's dialect, listeners and pool are those of the application. The proxy replaces only the methods that begin
and end transactions, and those that close the connection.
"""

from collections.abc import AsyncIterator, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from .asyncpg_transaction import AsyncpgTransaction
from .logical_connection import LogicalConnection, NextStatement
from .shared_connection import SharedConnection
from .statement_kind import Kind


class AsyncpgProxy:
    """An `asyncpg.Connection` on the shared connection.

    Attributes:
        dialect_transaction: the transaction that SQLAlchemy began.
        pending: transactions that were begun, but not sent to the server yet.
    """

    STATEMENTS = frozenset(
        [
            "execute",
            "executemany",
            "fetch",
            "fetchval",
            "fetchmany",
            "copy_from_query",
            "copy_from_table",
            "copy_to_table",
            "copy_records_to_table",
        ]
    )

    def __init__(self, shared: SharedConnection) -> None:
        self.shared, self.logical = shared, LogicalConnection()
        self.is_entered = False
        self.dialect_transaction: AsyncpgTransaction | None = None
        self.pending: list[AsyncpgTransaction] = []
        self._is_closed = False

    @property
    def raw(self) -> Any:
        """The connection of asyncpg; it may change between tests."""
        return self.shared.raw

    def __getattr__(self, name: str) -> Any:
        if name not in self.STATEMENTS:
            return getattr(self.raw, name)

        async def send(*arguments: Any, **options: Any) -> Any:
            async with self._sending():
                return await getattr(self.raw, name)(*arguments, **options)

        return send

    async def prepare(self, query: str, **options: Any) -> "SharedStatement":
        """As asyncpg's."""
        async with self._sending():
            return SharedStatement(self.shared, query, options, self.raw, await self.raw.prepare(query, **options))

    async def fetchrow(self, query: str, *arguments: Any, **options: Any) -> Any:
        """As asyncpg's; the pool's ping of the connection is not sent."""
        if query == ";" and not self.is_closed():
            return None
        async with self._sending():
            return await self.raw.fetchrow(query, *arguments, **options)

    def transaction(self, **options: object) -> AsyncpgTransaction:
        """As asyncpg's."""
        return AsyncpgTransaction(self)

    async def set_type_codec(self, typename: str, **options: Any) -> None:
        """As asyncpg's, once for each type: the original queries the server, and empties the statement cache."""
        key = (typename, options.get("schema", "public"))
        # Each connection has new function objects, so functions are compared by their code.
        value = [getattr(option, "__code__", option) for option in options.values()]
        if self.shared.codecs.get(key) != value:
            await self.raw.set_type_codec(typename, **options)
            self.shared.codecs[key] = value

    def is_closed(self) -> bool:
        """Whether the engine closed the proxy, or the server closed the shared connection."""
        return self._is_closed or self.shared.transactions.is_lost

    async def close(self, **options: object) -> None:
        """Roll back the transaction of the proxy."""
        if not self.is_closed():
            # A statement may have been cancelled, so a rollback is necessary.
            self.logical.has_failed = True
            await self.shared.roll_back(self.logical)
        self._is_closed = True

    def terminate(self) -> None:
        """Close the proxy where nothing can be awaited: the rollback is sent later."""
        if not self.is_closed():
            self.logical.has_failed = True
            self.shared.transactions.terminated.append(self.logical)
        self._is_closed = True

    @asynccontextmanager
    async def _sending(self) -> AsyncIterator[None]:
        if self.logical.is_sending:
            # SQLAlchemy holds the mutex already.
            yield
            return
        for transaction in list(self.pending):
            self.pending.remove(transaction)
            await transaction.begin()
        self.logical.begin(is_of_test=False)
        if self.dialect_transaction is None and not self.logical.nested:
            # As in asyncpg, the statement is a transaction by itself.
            self.logical.next_statement = NextStatement(Kind.WRITE, is_autocommit=True)
        async with self.shared.statement(self.logical):
            yield


class SharedStatement:
    """A prepared statement of asyncpg, prepared again if the shared connection has changed."""

    def __init__(self, shared: SharedConnection, query: str, options: dict[str, Any], raw: Any, prepared: Any) -> None:
        self._shared, self._query, self._options = shared, query, options
        self._raw, self._prepared = raw, prepared

    def __getattr__(self, name: str) -> Any:
        return getattr(self._prepared, name)

    def cursor(self, *arguments: Any, **options: Any) -> "SharedCursor":
        """As asyncpg's."""
        return SharedCursor(self._shared, self._prepared.cursor(*arguments, **options))

    async def fetch(self, *arguments: Any, **options: Any) -> Any:
        """As asyncpg's."""
        if self._raw is not self._shared.raw:
            self._raw = self._shared.raw
            self._prepared = await self._raw.prepare(self._query, **self._options)
        return await self._prepared.fetch(*arguments, **options)


class SharedCursor:
    """A cursor of asyncpg, with which SQLAlchemy streams rows: it holds the mutex for each fetch."""

    def __init__(self, shared: SharedConnection, cursor: Any) -> None:
        self._shared, self._cursor = shared, cursor

    def __aiter__(self) -> AsyncIterator[Any]:
        return aiter(self._cursor)

    def __await__(self) -> Generator[Any, Any, "SharedCursor"]:
        self._cursor = yield from self._cursor.__await__()
        return self

    async def fetch(self, *arguments: Any, **options: Any) -> Any:
        """As asyncpg's."""
        async with self._shared.mutex:
            return await self._cursor.fetch(*arguments, **options)


class ExecuteMutex:
    """Replaces the lock that SQLAlchemy holds while a connection sends a statement."""

    def __init__(self, proxy: AsyncpgProxy) -> None:
        self._proxy = proxy
        self._entered: list[AbstractAsyncContextManager[None]] = []

    async def __aenter__(self) -> None:
        turn = self._proxy.shared.statement(self._proxy.logical)
        await turn.__aenter__()
        self._entered.append(turn)

    async def __aexit__(self, *error: Any) -> None:
        await self._entered.pop().__aexit__(*error)
