"""A connection of asyncpg's or psycopg's, with the few things that are asked of both."""

from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

Driver = Literal["asyncpg", "psycopg"]


def installed_driver() -> Driver:
    """asyncpg, or psycopg where a project does not have that."""
    return "asyncpg" if find_spec("asyncpg") else "psycopg"


@dataclass(frozen=True)
class RawConnection:
    """The driver's own connection. psycopg's is in autocommit, so that it begins nothing by itself."""

    driver: Driver
    raw: Any

    async def send(self, *statements: str) -> None:
        """Send statements in one round trip."""
        if statements:
            sql = "; ".join(statements)
            # Several statements can be sent as text, and not be prepared.
            await (self.raw.execute(sql) if self.driver == "asyncpg" else self.raw.execute(sql, prepare=False))

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What a query answers."""
        if self.driver == "asyncpg":
            return [tuple(row) for row in await self.raw.fetch(sql)]
        cursor = await self.raw.execute(sql, prepare=False)
        return [tuple(row) for row in await cursor.fetchall()]

    @property
    def is_closed(self) -> bool:
        """Whether the connection is gone."""
        return bool(self.raw.is_closed() if self.driver == "asyncpg" else self.raw.closed)

    @property
    def is_in_transaction(self) -> bool:
        """Whether a transaction is open on the server."""
        if self.driver == "asyncpg":
            return bool(self.raw.is_in_transaction())
        # 0 is libpq's PQTRANS_IDLE.
        return bool(self.raw.info.transaction_status != 0)

    async def close(self) -> None:
        """End the session of the server."""
        await self.raw.close()

    def cut(self) -> None:
        """The same, where nothing can be awaited: the server rolls back, and whoever uses it gets an error."""
        with suppress(RuntimeError):
            # Of an event loop that is closed, with which it has gone.
            self.raw.terminate() if self.driver == "asyncpg" else self.raw.pgconn.finish()
