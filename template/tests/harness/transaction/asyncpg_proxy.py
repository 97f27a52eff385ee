"""What an engine on asyncpg gets for a connection of its own, on the one that a savepoint test shares.

The engine's dialect, its listeners and its pool are the application's; only what begins and ends transactions, and what
closes the connection, means something else.
"""

from collections.abc import AsyncIterator, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from .asyncpg_transaction import AsyncpgTransaction
from .members import Announced, Member
from .shared_connection import SharedConnection
from .statement_kind import Kind


class AsyncpgProxy:
    """An `asyncpg.Connection`, but for its transactions and its end.

    Attributes:
        of_dialect: the transaction that SQLAlchemy has begun.
        pending: transactions that have begun, and for which nothing was sent yet.
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
        self.shared, self.member = shared, Member()
        self.is_entered = False
        self.of_dialect: AsyncpgTransaction | None = None
        self.pending: list[AsyncpgTransaction] = []
        self._is_closed = False

    @property
    def raw(self) -> Any:
        """asyncpg's own connection, which may be another one from test to test."""
        return self.shared.raw

    def __getattr__(self, name: str) -> Any:
        if name not in self.STATEMENTS:
            return getattr(self.raw, name)

        async def send(*arguments: Any, **options: Any) -> Any:
            async with self._turn():
                return await getattr(self.raw, name)(*arguments, **options)

        return send

    async def prepare(self, query: str, **options: Any) -> "SharedStatement":
        """As asyncpg's."""
        async with self._turn():
            return SharedStatement(self.shared, query, options, self.raw, await self.raw.prepare(query, **options))

    async def fetchrow(self, query: str, *arguments: Any, **options: Any) -> Any:
        """As asyncpg's; with nothing sent for the pool's question whether the connection is there."""
        if query == ";" and not self.is_closed():
            return None
        async with self._turn():
            return await self.raw.fetchrow(query, *arguments, **options)

    def transaction(self, **options: object) -> AsyncpgTransaction:
        """As asyncpg's."""
        return AsyncpgTransaction(self)

    async def set_type_codec(self, typename: str, **options: Any) -> None:
        """As asyncpg's, once for each type: it asks the server, and empties the cache of statements."""
        key = (typename, options.get("schema", "public"))
        # Functions are made anew for each connection, so they are told apart by their code.
        value = [getattr(option, "__code__", option) for option in options.values()]
        if self.shared.codecs.get(key) != value:
            await self.raw.set_type_codec(typename, **options)
            self.shared.codecs[key] = value

    def is_closed(self) -> bool:
        """Whether the engine has closed it, or the server the shared one."""
        return self._is_closed or self.shared.transactions.is_lost

    async def close(self, **options: object) -> None:
        """Give back what it holds."""
        if not self.is_closed():
            # A statement may have been cancelled.
            self.member.has_failed = True
            await self.shared.roll_back(self.member)
        self._is_closed = True

    def terminate(self) -> None:
        """The same, where nothing can be sent."""
        if not self.is_closed():
            self.member.has_failed = True
            self.shared.transactions.lost.append(self.member)
        self._is_closed = True

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self.member.is_sending:
            # For SQLAlchemy, whose turn it is.
            yield
            return
        for transaction in list(self.pending):
            self.pending.remove(transaction)
            await transaction.begin()
        self.member.begin(is_of_test=False)
        if self.of_dialect is None and not self.member.nested:
            # As asyncpg's: a transaction by itself.
            self.member.announced = Announced(Kind.WRITE, is_autocommit=True)
        async with self.shared.statement(self.member):
            yield


class SharedStatement:
    """A statement that asyncpg has prepared, and prepares again on the next connection."""

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
    """A cursor of asyncpg's, as SQLAlchemy streams rows by it: between two statements, and not in their turns."""

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


class Turns:
    """In place of the lock that SQLAlchemy holds while a connection sends a statement."""

    def __init__(self, proxy: AsyncpgProxy) -> None:
        self._proxy = proxy
        self._turns: list[AbstractAsyncContextManager[None]] = []

    async def __aenter__(self) -> None:
        turn = self._proxy.shared.statement(self._proxy.member)
        await turn.__aenter__()
        self._turns.append(turn)

    async def __aexit__(self, *error: Any) -> None:
        await self._turns.pop().__aexit__(*error)
