"""The transactions on the shared connection: the statements that replace their BEGIN, COMMIT and ROLLBACK.

No method waits for another transaction. Callers hold the mutex of the connection.
"""

from contextlib import suppress
from dataclasses import dataclass, field

from .deferred_constraints import DeferredConstraints
from .local_settings import LocalSettings
from .logical_connection import LogicalConnection, NextStatement
from .outer_transaction import Mode, OuterTransaction
from .raw_connection import RawConnection, sqlstate
from .refusals import CONNECTED_BEFORE_TEST, CONSTRAINT_CONFLICT, ENDED, SWALLOWED
from .savepoint import Savepoint
from .savepoints import Savepoints
from .statement_kind import Kind


@dataclass(eq=False)
class Transactions(OuterTransaction):
    """The transactions of one connection, inside the outer transaction, which the first statement begins.

    Attributes:
        is_ending: whether `db_session` is being closed at the end of the test; its rollback need not be sent.
        terminated: connections that were closed where no rollback could be sent.
        savepoints: the savepoints that represent the transactions.
    """

    is_ending: bool = False
    terminated: list[LogicalConnection] = field(default_factory=list)
    savepoints: Savepoints = field(default_factory=Savepoints)
    _settings: LocalSettings = field(default_factory=LocalSettings)
    _constraints: DeferredConstraints = field(default_factory=DeferredConstraints)

    def use(self, connection: RawConnection | None) -> None:
        """Set the connection, on which no transaction is open."""
        self.connection, self._constraints = connection, DeferredConstraints()
        self.reset()

    def begin(self, mode: Mode) -> None:
        """Called at the beginning of a test, and before the startup of the lifespan."""
        self.is_ending = False
        super().begin(mode)

    def reset(self) -> None:
        """Forget all transactions."""
        self.savepoints.reset()
        self.terminated.clear()
        self._outer, self._settings.owner = None, None

    def is_ready(self, logical: LogicalConnection) -> bool:
        """Whether a statement that is sent now belongs to this transaction."""
        if self._outer == "connecting":
            return logical.is_connecting
        return self._outer == self.mode and self.savepoints.is_on_top(logical)

    def can_send_now(self, logical: LogicalConnection, next_statement: NextStatement) -> bool:
        """Whether a statement can be sent without preparation, as most statements can."""
        is_plain = next_statement.kind in (Kind.READ, Kind.CALL, Kind.WRITE) and not next_statement.settings
        if not is_plain or logical.was_rolled_back or not self.is_ready(logical):
            return False
        if self.savepoints.top is not None:
            self.savepoints.top.has_written |= next_statement.kind is Kind.WRITE
            self.savepoints.top.has_called |= next_statement.kind is Kind.CALL
        return True

    async def prepare(self, logical: LogicalConnection, next_statement: NextStatement, mode: Mode) -> None:
        """Make the savepoint of this transaction the topmost, for the next statement.

        Args:
            mode: the mode when the mutex was acquired; the test may have ended since.

        Raises:
            IsolationError: a savepoint test cannot imitate the statement; the message says what to write instead.
        """
        if mode == "own_database" and not logical.is_of_lifespan:
            self.refuse(CONNECTED_BEFORE_TEST)
        for closed in self.terminated:
            await self.roll_back(closed)
        self.terminated.clear()
        if logical.is_connecting and not self.is_in_transaction:
            # The setup of a connection must outlast the test, so it is a transaction by itself.
            if self._outer != "connecting":
                await self._send(*self._begun(mode, None))
                self._outer = "connecting"
            return
        await self.end_connecting("COMMIT")
        self.has_set_up |= logical.is_connecting
        begun = []
        if self._outer != mode:
            self.savepoints.reset()
            begun = self._begun(mode, logical.level)
        if (wrong := self.savepoints.concurrency_conflict(logical)) is not None:
            self.refuse(wrong)
        statements, kind = [*begun, *self.savepoints.release_others(logical)], next_statement.kind
        if kind in (Kind.RELEASE, Kind.ROLLBACK_TO):
            is_rollback = kind is Kind.ROLLBACK_TO
            wrong = self.savepoints.end_nested(logical, next_statement.name, is_rollback=is_rollback)
            if wrong is not None and not self.refusals.messages:
                await self._send(*statements)
                self.refuse(wrong)
        if self._settings.owner not in (None, logical):
            await self._send(*statements)
            statements = await self._settings.swap(self._rows, logical)
        if not self.savepoints.is_on_top(logical):
            statements += [
                self.savepoints.push(logical),
                *(f"SET TRANSACTION {words}" for words in next_statement.modes),
            ]
        await self._send(*statements)
        await self._settings.record(self._rows, logical, next_statement.settings)
        self.savepoints.open[-1].has_written |= kind in (Kind.WRITE, Kind.DDL)
        self.savepoints.open[-1].has_called |= kind is Kind.CALL
        self.has_ddl |= kind is Kind.DDL
        if kind is Kind.SAVEPOINT:
            self.savepoints.nest(logical, next_statement.name)
        logical.nested = self.savepoints.nested(logical)
        logical.has_failed &= kind is not Kind.ROLLBACK_TO
        if logical.was_rolled_back:
            # An invalid statement aborts the transaction again, so PostgreSQL refuses the next statement.
            with suppress(Exception):
                await self._send("ABORTED")

    async def commit(self, logical: LogicalConnection) -> None:
        """Commit a transaction; its changes stay until the outer transaction ends."""
        await self.end_connecting("COMMIT")
        # In production, this COMMIT raises no error either; it is no test's mistake.
        is_ignored = logical.is_of_lifespan and (logical.has_failed or logical.was_rolled_back)
        if logical.was_rolled_back:
            await self.roll_back(logical)
            if is_ignored:
                return
            self.refuse(SWALLOWED)
        own = self.savepoints.own(logical)
        self._refuse_if_over(own)
        if own or logical.commit_effects:
            has_written = any(point.has_written or point.has_called for point in own)
            statements, released = self.savepoints.release(logical)
            checks, again = list[str](), list[str]()
            try:
                # A failed transaction refuses queries; its RELEASE raises the error.
                if has_written and not logical.has_failed:
                    checks, again = await self._constraints.checks(self._rows, self.has_ddl)
                # The user of the transaction (SET LOCAL) may not be allowed to name the constraints.
                await self._send(*checks, *statements, *logical.commit_effects.statements(is_commit=True), *again)
            except Exception as error:
                is_another = checks and self.savepoints.is_another_writing(logical)
                logical.has_failed = True
                # A COMMIT that fails has ended its transaction: no ROLLBACK follows.
                if self.is_open:
                    await self.roll_back(logical)
                if is_ignored:
                    return
                if is_another and sqlstate(error).startswith("23"):
                    self.refuse(CONSTRAINT_CONFLICT.format(error))
                raise
            self.savepoints.drop(logical, released)
            self.has_committed |= any(point.has_written for point in own)
            if not self.savepoints.open:
                await self._close_if_outside()
        logical.end()

    async def roll_back(self, logical: LogicalConnection) -> None:
        """Roll back a transaction.

        Raises:
            IsolationError: that would also undo changes of another transaction.
        """
        await self.end_connecting("ROLLBACK")
        own = self.savepoints.own(logical)
        self._refuse_if_over(own)
        if self.is_ending and not logical.has_failed:
            # The outer transaction is about to be rolled back.
            self.savepoints.open = [point for point in self.savepoints.open if point not in own]
        elif own or logical.commit_effects:
            settings = logical.commit_effects.statements(is_commit=False)
            # A transaction without writing statements may have written by a function.
            if self.savepoints.is_alone(logical) or any(point.is_needed for point in own):
                # After a refusal, rollbacks are not checked: one error is enough.
                if not self.refusals.messages and (wrong := self.savepoints.rollback_conflict(logical)) is not None:
                    self.refuse(wrong)
                if self._settings.owner not in (None, logical):
                    # The rollback would also reset the local settings of a transaction that has only read.
                    await self._send(*await self._settings.swap(self._rows, logical))
                await self._send(*self.savepoints.roll_back(logical), *settings)
            else:
                statements, released = self.savepoints.release(logical)
                await self._send(*statements, *settings)
                self.savepoints.drop(logical, released)
            if not self.savepoints.open:
                await self._close_if_outside()
        logical.end()

    def _refuse_if_over(self, own: list[Savepoint]) -> None:
        # Statements that are sent through the driver are not examined.
        if own and self.connection is not None and not self.connection.is_in_transaction:
            self.savepoints.reset()
            self.refuse(ENDED)
