"""A connection of a driver, with one interface."""

from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

Driver = Literal["asyncpg", "psycopg", "psycopg2"]


def installed_driver() -> Driver:
    """asyncpg if it is installed, otherwise psycopg."""
    return "asyncpg" if find_spec("asyncpg") else "psycopg"


@dataclass(frozen=True)
class RawConnection:
    """The connection of the driver. psycopg is in autocommit mode, so it begins no transactions."""

    driver: Driver
    raw: Any

    async def send(self, *statements: str) -> None:
        """Send statements in one round trip."""
        if statements:
            sql = "; ".join(statements)
            # Several statements in one text cannot be prepared.
            await (self.raw.execute(sql) if self.driver == "asyncpg" else self.raw.execute(sql, prepare=False))

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        if self.driver == "asyncpg":
            return [tuple(row) for row in await self.raw.fetch(sql)]
        cursor = await self.raw.execute(sql, prepare=False)
        return [tuple(row) for row in await cursor.fetchall()]

    @property
    def is_closed(self) -> bool:
        """Whether the connection is closed."""
        return bool(self.raw.is_closed() if self.driver == "asyncpg" else self.raw.closed)

    @property
    def is_in_transaction(self) -> bool:
        """Whether a transaction is open on the server."""
        if self.driver == "asyncpg":
            return bool(self.raw.is_in_transaction())
        # 0 is libpq's PQTRANS_IDLE.
        return bool(self.raw.info.transaction_status != 0)

    async def close(self) -> None:
        """Close the connection."""
        await self.raw.close()

    def terminate(self) -> None:
        """Close it where nothing can be awaited: the server rolls back, and pending statements fail."""
        with suppress(RuntimeError):
            # Its event loop is closed, and so is the connection.
            self.raw.terminate() if self.driver == "asyncpg" else self.raw.pgconn.finish()


def is_of_server(error: BaseException) -> bool:
    """Whether an error is PostgreSQL's, which aborts the transaction."""
    # An error of the driver itself has no severity, and does not abort the transaction.
    error = error.__cause__ or error
    return (getattr(error, "severity", None) or getattr(getattr(error, "diag", None), "severity", None)) is not None


def sqlstate(error: BaseException | None) -> str:
    """The SQLSTATE of an error of any driver; "" without one."""
    return str(getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "")
