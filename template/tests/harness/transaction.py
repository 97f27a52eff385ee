"""The one transaction of a savepoint test, and the rules that make its rollback complete.

The test's session and the application's sessions share a connection inside a transaction that never commits. Each
session of the application lives in a savepoint, so its commits and rollbacks mean what they say. That is right only
while the savepoints of one connection are properly nested, and while the outer transaction is the first and the
last one. Whatever breaks that is refused before PostgreSQL hears of it, recorded, and shown ahead of anything else
that the test reports.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, NoReturn

from sqlalchemy import Connection, TextClause, event
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction

from .handled import acting_task
from .refusals import HAS_ENDED, OWN_DATABASE


class IsolationError(Exception):
    """The test did what one transaction on one connection cannot hold."""


# The first words of SQL that is given as text and only reads; after WITH, anything may come.
READS = ("select", "show", "explain", "values", "table")


@dataclass
class Savepoint:
    """One that is open, in the order of opening; `session` opened it, and another has committed inside it or not."""

    name: str
    task: asyncio.Task[Any] | None
    session: Session | None = None
    by_test: bool = False
    holds_anothers_commit: bool = False


class OuterTransaction:
    """Begun on a connection, it refuses, there and in the test's session, what its rollback could not undo.

    Attributes:
        violations: what was refused, in order; the first is the cause of what follows it.
        is_reported: whether the first of them has been shown.
        ended: whether the outer transaction is over, which nothing but the end of the test should bring about.
    """

    def __init__(self, connection: Connection) -> None:
        self.violations: list[str] = []
        self.ended = False
        self.is_reported = False
        self._connection = connection
        self._test_session: Session | None = None
        self._open: list[Savepoint] = []
        self._count = 0
        self._listeners: list[tuple[Any, str, Any]] = []

        self._transaction = connection.begin()
        for name in ("begin", "commit", "rollback", "savepoint", "release_savepoint", "rollback_savepoint"):
            self._listen(self._connection, name, getattr(self, f"_on_{name}"))
        self._listen(Session, "after_begin", self._on_session_begin)

    def join(self, session: Session) -> None:
        """Hold the test's own session to the rules; to be called before its first statement."""
        self._test_session = session
        self._listen(session, "before_flush", self._on_flush)
        self._listen(session, "do_orm_execute", self._on_execute)

    @property
    def has_sessions(self) -> bool:
        """Whether a session of the application is open."""
        return not all(savepoint.by_test for savepoint in self._open)

    def tasks_in_sessions(self) -> set[asyncio.Task[Any]]:
        """The tasks that have a session of the application open."""
        return {savepoint.task for savepoint in self._open if savepoint.task is not None and not savepoint.by_test}

    def left_open(self) -> str | None:
        """What is wrong if a session of the application is open at the end of the test; recorded as a violation."""
        names = {_name(savepoint.task) for savepoint in self._open if not savepoint.by_test}
        if not names:
            return None
        self.violations.append(
            f"the test has ended, and a session of the application is still open, opened by {' and '.join(names)}. "
            "Await that task, or cancel it and then await it, before the test returns; or close the session."
        )
        return self.violations[-1]

    @property
    def is_cut(self) -> bool:
        """Whether the connection has gone, and the transaction with it."""
        return self._connection.invalidated

    def let_go(self) -> None:
        """Stop watching."""
        for target, name, function in self._listeners:
            event.remove(target, name, function)
        self._listeners.clear()

    def roll_back(self) -> None:
        """Undo everything the test did."""
        self.let_go()
        if self._transaction.is_active:
            self._transaction.rollback()

    def _listen(self, target: Any, name: str, function: Any) -> None:
        event.listen(target, name, function)
        self._listeners.append((target, name, function))

    def _refuse(self, message: str) -> NoReturn:
        self.violations.append(message)
        raise IsolationError(message)

    # The connection. SQLAlchemy calls these before it sends the statement, so what they refuse has not happened.

    def _on_begin(self, connection: Connection) -> None:
        self._refuse(HAS_ENDED)

    def _on_commit(self, connection: Connection) -> None:
        self._refuse(
            "something would have committed the test's transaction for real: a session or a connection that is "
            'bound to it without join_transaction_mode="create_savepoint". ' + OWN_DATABASE
        )

    def _on_rollback(self, connection: Connection) -> None:
        self.ended = True

    def _on_savepoint(self, connection: Connection, name: str | None) -> None:
        task = acting_task()
        if self._open and self._open[-1].task is not task:
            self._refuse(
                f"two tasks use the database at once: {_name(task)} opens a session while one of "
                f"{_name(self._open[-1].task)} is open. " + OWN_DATABASE
            )
        if name is None:
            # SQLAlchemy counts the savepoints that it names, by connection, and only after this event.
            self._count += 1
            name = f"sa_savepoint_{self._count}"
        self._open.append(Savepoint(name, task))

    def _on_release_savepoint(self, connection: Connection, name: str, context: None) -> None:
        closed = self._close(name)
        if self._open and not self._open[-1].by_test:
            self._open[-1].holds_anothers_commit |= (
                closed.holds_anothers_commit or closed.session is not self._open[-1].session
            )

    def _on_rollback_savepoint(self, connection: Connection, name: str, context: None) -> None:
        # A rollback that cleans up after a refusal is let through: one error is enough.
        if not self.violations and self._close(name).holds_anothers_commit:
            self._refuse(
                "a session was rolled back, and took along what another session had committed while it was open: in "
                "production, that would have stayed. " + OWN_DATABASE
            )

    def _close(self, name: str) -> Savepoint:
        if not self._open or self._open[-1].name != name:
            self._refuse(
                "sessions end out of order: one was committed or closed while a session that was opened after it is "
                "still open, and would have taken its rows along. " + OWN_DATABASE
            )
        return self._open.pop()

    # The sessions.

    def _on_session_begin(self, session: Session, transaction: SessionTransaction, connection: Connection) -> None:
        # Comes right after the SAVEPOINT, if the session has made one: the test's does so for `begin_nested()` alone.
        if self._open and self._open[-1].session is None and (session is not self._test_session or transaction.nested):
            self._open[-1].session = session
            self._open[-1].by_test = session is self._test_session

    def _on_flush(self, session: Session, context: object, instances: object) -> None:
        self._refuse_write()

    def _on_execute(self, state: ORMExecuteState) -> None:
        is_read = isinstance(state.statement, TextClause) and state.statement.text.lstrip().lower().startswith(READS)
        if not (state.is_select or is_read):
            self._refuse_write()

    def _refuse_write(self) -> None:
        if self.has_sessions:
            self._refuse(
                "db_session writes while a session of the application is open: the row would be inside that session's "
                "savepoint, and gone if it rolls back. Write before that session begins, or after it has ended. "
                + OWN_DATABASE
            )


def _name(task: asyncio.Task[Any] | None) -> str:
    return "the test" if task is None else f"task {task.get_name()}"
