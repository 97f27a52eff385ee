"""The transactions of a savepoint test on its one connection: what is sent for BEGIN, COMMIT and ROLLBACK of each.

Nothing here waits for another transaction; whoever calls holds the connection's turn.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

from .deferred_constraints import DeferredConstraints
from .local_settings import LocalSettings
from .members import Announced, Member
from .outer_transaction import Mode, OuterTransaction
from .raw_connection import RawConnection
from .refusals import ASIDE, ENDED, SWALLOWED, Refusals
from .savepoints import Savepoint, Savepoints
from .statement_kind import Kind


@dataclass(eq=False)
class Transactions(OuterTransaction):
    """Those of one connection, inside the one of the test, which the first statement begins.

    Args:
        refusals: where what is refused is remembered.

    Attributes:
        has_ddl: whether the schema was changed since the mode began.
        has_set_up: whether an engine has set up a connection since then, inside of the test's transaction.
        is_ending: whether `db_session` is being closed at the end of its test, which need not be sent.
        lost: whose connections were closed where nothing could be sent.
        savepoints: that stand for them.
    """

    refusals: Refusals = field(kw_only=True)
    has_ddl: bool = False
    has_set_up: bool = False
    is_ending: bool = False
    lost: list[Member] = field(default_factory=list)
    savepoints: Savepoints = field(default_factory=Savepoints)
    _settings: LocalSettings = field(default_factory=LocalSettings)
    _constraints: DeferredConstraints = field(default_factory=DeferredConstraints)

    def use(self, connection: RawConnection | None) -> None:
        """Take another connection, or none: nothing is open on it."""
        self.connection, self._constraints = connection, DeferredConstraints()
        self.forget()

    def begin(self, mode: Mode) -> None:
        """A test begins, or the lifespan's start."""
        self.mode, self.has_written, self.is_ending = mode, False, False
        self.has_ddl = self.has_set_up = False

    def forget(self) -> None:
        """All of them are over."""
        self.savepoints.forget()
        self.lost.clear()
        self._outer, self._settings.owner = None, None

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

    async def make_room(self, member: Member, announced: Announced, mode: Mode) -> None:
        """See to it that the topmost savepoint is this transaction's own, for a statement.

        Args:
            mode: when it was this transaction's turn; the test may end meanwhile.

        Raises:
            IsolationError: it cannot be imitated; the message says what to write instead.
        """
        if mode == "aside" and not member.is_of_lifespan:
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
        begun = []
        if self._outer != mode:
            self.savepoints.forget()
            begun = self._begun(mode, member.level)
        if (wrong := self.savepoints.at_once(member)) is not None:
            self.refuse(wrong)
        statements = [*begun, *self.savepoints.make_room(member)]
        if self._settings.owner not in (None, member):
            await self._send(*statements)
            statements = await self._settings.swapped(self._rows, member)
        if not self.savepoints.is_on_top(member):
            statements += [self.savepoints.push(member), *(f"SET TRANSACTION {words}" for words in announced.modes)]
        await self._send(*statements)
        await self._settings.note(self._rows, member, announced.settings)
        self.savepoints.open[-1].has_written |= announced.kind in (Kind.WRITE, Kind.DDL)
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
                is_to_be_checked = has_written and not member.has_failed
                checks = await self._constraints.checks(self._rows, self.has_ddl) if is_to_be_checked else []
                await self._send(*checks, *statements, *member.at_commit.statements(is_commit=True))
            except Exception:
                member.has_failed = True
                raise
            self.savepoints.drop(member, released)
            if not self.savepoints.open:
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
            # One that is held by nothing may have written all the same: by a function.
            if self.savepoints.is_alone(member) or any(point.is_held for point in own):
                # What cleans up after a refusal is let through: one error is enough.
                if not self.refusals.messages and (wrong := self.savepoints.taken_along(member)) is not None:
                    self.refuse(wrong)
                if self._settings.owner not in (None, member):
                    # It has only read, and would lose them.
                    await self._send(*await self._settings.swapped(self._rows, member))
                await self._send(*self.savepoints.roll_back(member), *settings)
            else:
                statements, released = self.savepoints.release(member)
                await self._send(*statements, *settings)
                self.savepoints.drop(member, released)
            if not self.savepoints.open:
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
