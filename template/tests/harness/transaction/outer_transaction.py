"""The outer transaction of a savepoint test, in which all other transactions are savepoints."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from .raw_connection import RawConnection, sqlstate
from .refusals import ENDED, LOST, Refusals

Mode = Literal["outside", "seeding", "test", "own_database"]

# It is lost if the transaction ends before the end of the test, also if another one has begun: `COMMIT AND CHAIN`.
OUTER = "savepoint_outer"
# invalid_savepoint_specification: there is no such savepoint.
NO_SAVEPOINT = "3B001"


@dataclass(eq=False)
class OuterTransaction:
    """The outer transaction of one connection.

    Args:
        refusals: records what is refused.

    Attributes:
        connection: None before the first engine connects.
        mode: "test" during a savepoint test; "own_database" during a test with a database of its own; "seeding" during
            the startup of the lifespan, whose commits stay; otherwise "outside", where transactions are read-only.
        has_written: whether the lifespan wrote rows during its startup.
        has_ddl: whether the schema has changed since the mode began.
        has_committed: whether a transaction that has written has committed since the mode began.
        has_set_up: whether an engine has set up a connection since the mode began, inside the outer transaction.
        at_begin: statements at the beginning of each savepoint test.
    """

    refusals: Refusals = field(kw_only=True)
    connection: RawConnection | None = None
    mode: Mode = "outside"
    has_written: bool = False
    has_ddl: bool = False
    has_committed: bool = False
    has_set_up: bool = False
    at_begin: Sequence[str] = ()
    # The mode in which the transaction began; None before the first statement.
    _outer: Mode | Literal["connecting"] | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is an open connection."""
        return self.connection is not None and not self.connection.is_closed

    @property
    def is_lost(self) -> bool:
        """Whether the server has closed the connection."""
        return self.connection is not None and self.connection.is_closed

    @property
    def is_in_transaction(self) -> bool:
        """Whether the outer transaction is open, so that the setup of a new connection is rolled back with it."""
        return self._outer not in (None, "connecting")

    @property
    def is_over(self) -> bool:
        """Whether the transaction was ended, but not by `end`."""
        connection = self.connection
        return (
            connection is not None
            and not connection.is_closed
            and self.is_in_transaction
            and not connection.is_in_transaction
        )

    def begin(self, mode: Mode) -> None:
        """Begin a mode; its transaction is begun by the first statement."""
        self.mode = mode
        self.has_written = self.has_ddl = self.has_committed = self.has_set_up = False

    async def end(self, mode: Mode, *, is_commit: bool) -> str | None:
        """End the transaction; returns an error message, or None."""
        if self.connection is None or not self.is_open:
            return None
        # The setup of a connection may have failed.
        await self.end_connecting("ROLLBACK")
        if self._outer != mode:
            return None
        if self.is_over:
            return ENDED
        if is_commit:
            self.has_written |= await self.has_changes()
        if mode != "test":
            await self.connection.send("COMMIT" if is_commit else "ROLLBACK")
            return None
        try:
            await self.connection.send(f"ROLLBACK TO SAVEPOINT {OUTER}", "ROLLBACK")
        except Exception as error:
            if not _is_lost_savepoint(error):
                raise
            await self.connection.send("ROLLBACK")
            return ENDED
        return None

    async def end_connecting(self, how: str) -> None:
        """End the transaction in which an engine set up a connection; rows of the setup belong to the mode."""
        if self._outer != "connecting":
            return
        if how == "COMMIT" and await self.has_changes():
            if self.mode == "test":
                self._outer, self.has_set_up = "test", True
                return
            if self.mode == "seeding":
                self.has_written = True
            else:
                # The test ended during the setup.
                how = "ROLLBACK"
        self._outer = None
        await self._send(how)

    def _begun(self, mode: Mode, level: str | None) -> list[str]:
        """Statements that begin the transaction."""
        # A session of a fixture with a wider scope may have left a read-only transaction open.
        ended = ["COMMIT"] if self._outer is not None else []
        self._outer = mode
        if mode == "outside":
            return [*ended, "BEGIN READ ONLY"]
        begin = f"BEGIN ISOLATION LEVEL {level}" if level else "BEGIN"
        return [*ended, begin, *([f"SAVEPOINT {OUTER}", *self.at_begin] if mode == "test" else [])]

    async def _close_if_outside(self) -> None:
        if self._outer == "outside":
            self._outer = None
            await self._send("COMMIT")

    async def _send(self, *statements: str) -> None:
        if self.connection is None:
            return
        try:
            await self.connection.send(*statements)
        except Exception as error:
            if _is_lost_savepoint(error):
                self.refuse(ENDED)
            raise

    async def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [] if self.connection is None else await self.connection.rows(sql)

    async def has_changes(self) -> bool:
        """Whether the transaction has written anything."""
        # PostgreSQL knows: an UPDATE that matches no row changes nothing.
        rows = await self._rows("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
        return rows == [(True,)]

    def raise_if_lost(self) -> None:
        """Raise `IsolationError` if the server has closed the connection, and so has undone a commit of the test."""
        if self.is_lost and self.has_committed:
            self.refuse(LOST)

    def refuse(self, message: str) -> NoReturn:
        """Record a refusal, and raise `IsolationError`."""
        raise self.refusals.add(message)


def _is_lost_savepoint(error: Exception) -> bool:
    return sqlstate(error) == NO_SAVEPOINT
