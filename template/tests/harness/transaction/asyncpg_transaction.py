"""The return value of asyncpg's `Connection.transaction()` on the shared connection of a savepoint test."""

from typing import Any, Protocol

from .logical_connection import LogicalConnection, NextStatement
from .shared_connection import SharedConnection
from .statement_kind import Kind


class Proxy(Protocol):
    """The attributes of `AsyncpgProxy` that a transaction uses."""

    logical: LogicalConnection
    shared: SharedConnection
    is_entered: bool
    dialect_transaction: "AsyncpgTransaction | None"
    pending: "list[AsyncpgTransaction]"

    @property
    def raw(self) -> Any:
        """The connection of asyncpg."""


class AsyncpgTransaction:
    """A transaction that SQLAlchemy begins before its first statement.

    A transaction that the application begins directly is a savepoint inside it.
    """

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._name: str | None = None
        self._is_dialect_transaction = False

    async def start(self) -> None:
        """Begin the transaction; nothing is sent before the first statement."""
        proxy = self._proxy
        if proxy.is_entered and proxy.dialect_transaction is None:
            proxy.dialect_transaction, self._is_dialect_transaction = self, True
        else:
            proxy.pending.append(self)

    async def begin(self) -> None:
        """Send the SAVEPOINT."""
        proxy, self._name = self._proxy, f"of_driver_{id(self)}"
        proxy.logical.next_statement = NextStatement(Kind.SAVEPOINT, name=self._name)
        async with proxy.shared.statement(proxy.logical):
            await proxy.raw.execute(f"SAVEPOINT {self._name}")

    async def commit(self) -> None:
        """Release the savepoint."""
        await self._end("RELEASE SAVEPOINT {0}", is_commit=True)

    async def rollback(self) -> None:
        """Roll back to the savepoint."""
        await self._end("ROLLBACK TO SAVEPOINT {0}; RELEASE SAVEPOINT {0}", is_commit=False)

    async def _end(self, statement: str, *, is_commit: bool) -> None:
        proxy = self._proxy
        if self in proxy.pending:
            proxy.pending.remove(self)
        elif self._is_dialect_transaction:
            proxy.dialect_transaction, proxy.is_entered = None, False
            await (proxy.shared.commit(proxy.logical) if is_commit else proxy.shared.roll_back(proxy.logical))
        else:
            kind = Kind.RELEASE if is_commit else Kind.ROLLBACK_TO
            proxy.logical.next_statement = NextStatement(kind, name=str(self._name))
            async with proxy.shared.statement(proxy.logical):
                await proxy.raw.execute(statement.format(self._name))
            if proxy.dialect_transaction is None and not proxy.logical.nested:
                await proxy.shared.commit(proxy.logical)

    async def __aenter__(self) -> None:
        await self.start()

    async def __aexit__(self, kind: object, error: object, traceback: object) -> None:
        await (self.commit() if kind is None else self.rollback())
