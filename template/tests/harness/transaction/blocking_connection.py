"""A connection of psycopg or psycopg2 that blocks its thread, with the interface of `RawConnection`.

Its coroutines never suspend, so `finished` runs them without an event loop.
"""

from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from .raw_connection import RawConnection

Result = TypeVar("Result")


def finished(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: Result = stop.value
        return result
    coroutine.close()
    raise RuntimeError(f"{coroutine!r} has awaited something else than a blocking connection")


class BlockingConnection(RawConnection):
    """A synchronous connection of the driver, in autocommit mode."""

    async def send(self, *statements: str) -> None:
        """Send statements in one round trip."""
        if statements:
            self._execute("; ".join(statements), fetch=False)

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return self._execute(sql, fetch=True)

    async def close(self) -> None:
        """Close the connection."""
        self.raw.close()

    def terminate(self) -> None:
        """Close it while a thread may be sending a statement, which fails."""
        with suppress(Exception):
            self.raw.cancel()
        with suppress(Exception):
            self.raw.close()

    @property
    def is_closed(self) -> bool:
        """Whether the connection is closed."""
        return bool(self.raw.closed)

    def _execute(self, sql: str, *, fetch: bool) -> list[tuple[Any, ...]]:
        # Rows of the application's own cursor class may be no tuples.
        if self.driver == "psycopg2":
            from psycopg2.extensions import cursor as plain

            with self.raw.cursor(cursor_factory=plain) as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall()) if fetch else []
        from psycopg.rows import tuple_row

        with self.raw.cursor(row_factory=tuple_row) as cursor:
            # Several statements in one text cannot be prepared.
            cursor.execute(sql, prepare=False)
            return list(cursor.fetchall()) if fetch else []
