"""The transactions of a savepoint test on its one connection: what is sent for BEGIN, COMMIT and ROLLBACK of each.

Nothing here waits for another transaction; whoever calls holds the connection's turn.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from .members import Announced, Member
from .raw_connection import RawConnection
from .refusals import ASIDE, ENDED, SWALLOWED, Refusals
from .savepoints import Savepoint, Savepoints
from .sql import Kind

DEFERRABLE = """
    SELECT format('%I.%I', nspname, conname), condeferred
    FROM pg_constraint JOIN pg_namespace n ON n.oid = connamespace WHERE condeferrable
"""

Mode = Literal["outside", "seeding", "test", "aside"]


@dataclass(eq=False)
class Transactions:
    """Those of one connection, inside the one of the test, which the first statement begins.

    Args:
        refusals: where what is refused is remembered.

    Attributes:
        connection: None before the first engine has connected.
        mode: "test" while a savepoint test runs, and "aside" while a test has a database of its own; "seeding" while
            the lifespan starts, whose commits stay; "outside" of all of these nothing can be written.
        has_written: whether the lifespan has written anything while it started.
        has_ddl: whether the schema was changed since the mode began.
        has_set_up: whether an engine has set up a connection since then, inside of the test's transaction.
        is_ending: whether `db_session` is being closed at the end of its test, which need not be sent.
        lost: whose connections were closed where nothing could be sent.
        savepoints: that stand for them.
    """

    refusals: Refusals
    connection: RawConnection | None = None
    mode: Mode = "outside"
    has_written: bool = False
    has_ddl: bool = False
    has_set_up: bool = False
    is_ending: bool = False
    lost: list[Member] = field(default_factory=list)
    savepoints: Savepoints = field(default_factory=Savepoints)
    _outer: Mode | Literal["connecting"] | None = None
    _deferrable: list[tuple[str, bool]] | None = None
    # Whose local settings the connection has.
    _settings_of: Member | None = None

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

    def use(self, connection: RawConnection | None) -> None:
        """Take another connection, or none: nothing is open on it."""
        self.connection, self._deferrable = connection, None
        self.forget()

    def begin(self, mode: Mode) -> None:
        """A test begins, or the lifespan's start."""
        self.mode, self.has_written, self.is_ending = mode, False, False
        self.has_ddl = self.has_set_up = False

    async def end(self, mode: Mode, *, is_commit: bool) -> str | None:
        """End what `begin` has begun; returns what is wrong."""
        if self.connection is None or not self.is_open or self._outer != mode:
            return None
        if not self.connection.is_in_transaction:
            return ENDED
        if is_commit:
            # PostgreSQL knows: an UPDATE of no row writes nothing.
            [[self.has_written]] = await self._rows("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
        await self.connection.send("COMMIT" if is_commit else "ROLLBACK")
        return None

    def forget(self) -> None:
        """All of them are over."""
        self.savepoints.forget()
        self.lost.clear()
        self._outer = self._settings_of = None

    def is_ready(self, member: Member) -> bool:
        """Whether what is sent now is part of this transaction."""
        if self._outer == "connecting":
            return member.is_connecting
        return self._outer == self.mode and self.savepoints.is_on_top(member)

    def may_go_on(self, member: Member, announced: Announced) -> bool:
        """Whether a statement may be sent as it is, which is so for most."""
        is_plain = announced.kind in (Kind.READ, Kind.WRITE) and not announced.settings
        if not is_plain or member.is_broken or not self.is_ready(member):
            return False
        if self.savepoints.top is not None:
            self.savepoints.top.has_written |= announced.kind is Kind.WRITE
        return True

    async def make_room(self, member: Member, announced: Announced) -> None:
        """See to it that the topmost savepoint is this transaction's own, for a statement.

        Raises:
            IsolationError: it cannot be imitated; the message says what to write instead.
        """
        if self.mode == "aside" and not member.is_of_lifespan:
            self.refuse(ASIDE)
        for lost in self.lost:
            await self.roll_back(lost)
        self.lost.clear()
        if member.is_connecting and not self.is_in_transaction:
            # What an engine sets up for its connections is outside of any test's transaction.
            await self._send(*(["BEGIN"] if self._outer is None else []))
            self._outer = "connecting"
            return
        self.has_set_up |= member.is_connecting
        begun = self._begun(member)
        if (wrong := self.savepoints.at_once(member)) is not None:
            self.refuse(wrong)
        statements = [*begun, *self.savepoints.make_room(member)]
        if self._settings_of not in (None, member):
            await self._send(*statements)
            statements.clear()
            await self._swap_settings(member)
        if not self.savepoints.is_on_top(member):
            statements += [self.savepoints.push(member), *(f"SET TRANSACTION {mode}" for mode in announced.modes)]
        await self._send(*statements)
        await self._note_settings(member, announced)
        self.savepoints.open[-1].has_written |= announced.kind is not Kind.READ
        self.has_ddl |= announced.kind is Kind.DDL
        member.count(announced.kind)
        if member.is_broken:
            # PostgreSQL would refuse the statement until the rollback, and so it does again.
            with suppress(Exception):
                await self._send("ABORTED")

    async def commit(self, member: Member) -> None:
        """End a transaction; what it wrote is there until the test's own transaction ends."""
        await self.end_connecting("COMMIT")
        if member.is_broken:
            await self.roll_back(member)
            self.refuse(SWALLOWED)
        own = self.savepoints.own(member)
        self._refuse_if_over(own)
        if own or member.at_commit:
            has_written = any(point.has_written for point in own)
            statements, released = self.savepoints.release(member)
            try:
                # In a transaction that has failed, nothing can be asked: its RELEASE says so.
                checks = await self._checks() if has_written and not member.has_failed else []
                await self._send(*checks, *statements, *member.at_commit.statements(is_commit=True))
            except Exception:
                member.has_failed = True
                raise
            self.savepoints.drop(member, released)
            await self._close_if_outside()
        member.end()

    async def roll_back(self, member: Member) -> None:
        """Undo a transaction.

        Raises:
            IsolationError: that would undo what another transaction has written, too.
        """
        await self.end_connecting("ROLLBACK")
        own = self.savepoints.own(member)
        self._refuse_if_over(own)
        if self.is_ending and not member.has_failed:
            # All of it is about to be rolled back.
            self.savepoints.open = [point for point in self.savepoints.open if point not in own]
        elif own or member.at_commit:
            settings = member.at_commit.statements(is_commit=False)
            if any(point.is_held for point in own):
                # What cleans up after a refusal is let through: one error is enough.
                if not self.refusals.messages and (wrong := self.savepoints.taken_along(member)) is not None:
                    self.refuse(wrong)
                await self._send(*self.savepoints.roll_back(member), *settings)
            else:
                statements, released = self.savepoints.release(member)
                await self._send(*statements, *settings)
                self.savepoints.drop(member, released)
            await self._close_if_outside()
        member.end()

    def _refuse_if_over(self, own: list[Savepoint]) -> None:
        # What is sent through the driver is not looked at.
        if own and self.connection is not None and not self.connection.is_in_transaction:
            self.savepoints.forget()
            self.refuse(ENDED)

    def refuse(self, message: str) -> NoReturn:
        """Remember that something was refused, and raise `IsolationError`."""
        raise self.refusals.add(message)

    async def end_connecting(self, how: str) -> None:
        """End what an engine did to set up a connection: outside of any test's transaction."""
        if self._outer == "connecting":
            self._outer = None
            await self._send(how)

    def _begun(self, member: Member) -> list[str]:
        if self._outer == self.mode:
            return []
        # Of a session that a fixture of a wider scope has read with, and keeps.
        ended = ["COMMIT"] if self._outer is not None else []
        self.savepoints.forget()
        self._outer = self.mode
        if self.mode == "outside":
            return [*ended, "BEGIN READ ONLY"]
        return [*ended, f"BEGIN ISOLATION LEVEL {member.level}" if member.level else "BEGIN"]

    async def _swap_settings(self, member: Member) -> None:
        other, self._settings_of = self._settings_of, member
        if other is None:
            return
        for name in other.at_commit.settings:
            [[other.at_commit.own[name]]] = await self._rows(f"SELECT current_setting('{name}', true)")
        await self._send(*other.at_commit.statements(is_commit=False), *member.at_commit.again())

    async def _note_settings(self, member: Member, announced: Announced) -> None:
        if announced.settings:
            self._settings_of = member
        for name in announced.settings:
            if name not in member.at_commit.settings:
                [[value]] = await self._rows(f"SELECT current_setting('{name}', true)")
                member.at_commit.settings[name] = value

    async def _checks(self) -> list[str]:
        """What a COMMIT looks at: the constraints that are deferred."""
        if self._deferrable is None or self.has_ddl:
            self._deferrable = [(name, is_deferred) for name, is_deferred in await self._rows(DEFERRABLE)]
        if not self._deferrable:
            return []
        deferred = [name for name, is_deferred in self._deferrable if is_deferred]
        again = [f"SET CONSTRAINTS {', '.join(deferred)} DEFERRED"] if deferred else []
        return ["SET CONSTRAINTS ALL IMMEDIATE", *again]

    async def _close_if_outside(self) -> None:
        if self._outer == "outside" and not self.savepoints.open:
            self._outer = None
            await self._send("COMMIT")

    async def _send(self, *statements: str) -> None:
        if self.connection is not None:
            await self.connection.send(*statements)

    async def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [] if self.connection is None else await self.connection.rows(sql)
