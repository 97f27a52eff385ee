"""The one transaction of a savepoint test, in which all others are savepoints: when it begins, and how it ends."""

from dataclasses import dataclass
from typing import Any, Literal

from .raw_connection import RawConnection
from .refusals import ENDED

Mode = Literal["outside", "seeding", "test", "aside"]


@dataclass(eq=False)
class OuterTransaction:
    """That of one connection.

    Attributes:
        connection: None before the first engine has connected.
        mode: "test" while a savepoint test runs, and "aside" while a test has a database of its own; "seeding" while
            the lifespan starts, whose commits stay; "outside" of all of these nothing can be written.
        has_written: whether the lifespan has written anything while it started.
    """

    connection: RawConnection | None = None
    mode: Mode = "outside"
    has_written: bool = False
    # The mode that it was begun in; None as long as nothing was sent.
    _outer: Mode | Literal["connecting"] | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self.connection is not None and not self.connection.is_closed

    @property
    def is_lost(self) -> bool:
        """Whether there was a connection, and the server has closed it."""
        return self.connection is not None and self.connection.is_closed

    @property
    def is_in_transaction(self) -> bool:
        """Whether a test's transaction is open, so that what an engine sets up now ends with it."""
        return self._outer not in (None, "connecting")

    @property
    def is_over(self) -> bool:
        """Whether a test's transaction was ended by something else than `end`."""
        connection = self.connection
        return (
            connection is not None
            and not connection.is_closed
            and self.is_in_transaction
            and not connection.is_in_transaction
        )

    async def end(self, mode: Mode, *, is_commit: bool) -> str | None:
        """End it; returns what is wrong."""
        if self.connection is None or not self.is_open:
            return None
        # A set-up that has failed.
        await self.end_connecting("ROLLBACK")
        if self._outer != mode:
            return None
        if self.is_over:
            return ENDED
        if is_commit:
            # PostgreSQL knows: an UPDATE of no row writes nothing.
            [[self.has_written]] = await self._rows("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
        await self.connection.send("COMMIT" if is_commit else "ROLLBACK")
        return None

    async def end_connecting(self, how: str) -> None:
        """End what an engine did to set up a connection: outside of any test's transaction."""
        if self._outer == "connecting":
            self._outer = None
            await self._send(how)

    def _begun(self, mode: Mode, level: str | None) -> list[str]:
        """What begins it, at an isolation level, unless it has begun."""
        # Of a session that a fixture of a wider scope has read with, and keeps.
        ended = ["COMMIT"] if self._outer is not None else []
        self._outer = mode
        if mode == "outside":
            return [*ended, "BEGIN READ ONLY"]
        return [*ended, f"BEGIN ISOLATION LEVEL {level}" if level else "BEGIN"]

    async def _close_if_outside(self) -> None:
        if self._outer == "outside":
            self._outer = None
            await self._send("COMMIT")

    async def _send(self, *statements: str) -> None:
        if self.connection is not None:
            await self.connection.send(*statements)

    async def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [] if self.connection is None else await self.connection.rows(sql)
