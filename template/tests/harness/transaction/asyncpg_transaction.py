"""What asyncpg's `Connection.transaction()` returns, on the connection that a savepoint test shares."""

from typing import Any, Protocol

from .members import Announced, Member
from .shared_connection import SharedConnection
from .statement_kind import Kind


class Proxy(Protocol):
    """What a transaction uses of the connection that has begun it; see `asyncpg_proxy.py`."""

    member: Member
    shared: SharedConnection
    is_entered: bool
    of_dialect: "AsyncpgTransaction | None"
    pending: "list[AsyncpgTransaction]"

    @property
    def raw(self) -> Any:
        """asyncpg's own connection."""


class AsyncpgTransaction:
    """SQLAlchemy begins one before its first statement.

    One that code of the application begins by itself is a savepoint inside.
    """

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._name: str | None = None
        self._is_dialects = False

    async def start(self) -> None:
        """Begin it: with nothing sent before a statement is."""
        proxy = self._proxy
        if proxy.is_entered and proxy.of_dialect is None:
            proxy.of_dialect, self._is_dialects = self, True
        else:
            proxy.pending.append(self)

    async def begin(self) -> None:
        """Send what `start` did not."""
        proxy, self._name = self._proxy, f"of_driver_{id(self)}"
        proxy.member.announced = Announced(Kind.SAVEPOINT)
        async with proxy.shared.statement(proxy.member):
            await proxy.raw.execute(f"SAVEPOINT {self._name}")

    async def commit(self) -> None:
        """End it."""
        await self._end("RELEASE SAVEPOINT {0}", is_commit=True)

    async def rollback(self) -> None:
        """Undo it."""
        await self._end("ROLLBACK TO SAVEPOINT {0}; RELEASE SAVEPOINT {0}", is_commit=False)

    async def _end(self, statement: str, *, is_commit: bool) -> None:
        proxy = self._proxy
        if self in proxy.pending:
            proxy.pending.remove(self)
        elif self._is_dialects:
            proxy.of_dialect, proxy.is_entered = None, False
            await (proxy.shared.commit(proxy.member) if is_commit else proxy.shared.roll_back(proxy.member))
        else:
            proxy.member.announced = Announced(Kind.RELEASE)
            async with proxy.shared.statement(proxy.member):
                await proxy.raw.execute(statement.format(self._name))
            if proxy.of_dialect is None and not proxy.member.nested:
                await proxy.shared.commit(proxy.member)

    async def __aenter__(self) -> None:
        await self.start()

    async def __aexit__(self, kind: object, error: object, traceback: object) -> None:
        await (self.commit() if kind is None else self.rollback())
