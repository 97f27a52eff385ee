"""What one connection of the application's does on the connection that a savepoint test shares."""

import asyncio
from collections.abc import Collection, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from ..core.requests import REQUEST, Request
from .commit_effects import AtCommit
from .statement_kind import Kind

# Set in the tasks of the lifespan: what polls there goes on beside the tests, and is no part of any.
OF_LIFESPAN: ContextVar[bool] = ContextVar("savepoint_of_lifespan", default=False)


@dataclass(frozen=True)
class Announced:
    """A statement that SQLAlchemy is about to send.

    Attributes:
        kind: what it does.
        is_autocommit: whether it is a transaction by itself.
        modes: of the transaction that it begins, such as "READ ONLY".
        settings: the names that it sets until its transaction ends.
    """

    kind: Kind
    is_autocommit: bool = False
    modes: Sequence[str] = ()
    settings: Collection[str] = ()


# What the driver is asked for by somebody else.
BY_DRIVER = Announced(Kind.WRITE)


@dataclass(eq=False)
class Member:
    """A connection as an engine sees it, and the transaction that it is in.

    Attributes:
        is_connecting: whether the pool still sets it up.
        level: the isolation level that its engine gives to all its transactions; None for the server's own.
        task: that began the transaction; None between transactions.
        root: the task that it acts for: of a request, the one that has sent it; None if that is not known.
        request: for which the transaction began; None outside of any.
        is_of_lifespan: whether a task of the lifespan began it.
        is_of_test: whether it is `db_session`'s.
        nested: how many savepoints of its own it has open, as `begin_nested()` makes them.
        has_failed: whether a statement has failed, so that PostgreSQL refuses the next.
        is_broken: whether that was rolled back already, since another transaction had to go on.
        at_commit: what else ends with the transaction.
        announced: the statement that comes next; None if it is none of SQLAlchemy's.
        is_sending: whether a statement is under way.
    """

    is_connecting: bool = True
    level: str | None = None
    task: asyncio.Task[Any] | None = None
    root: asyncio.Task[Any] | None = None
    request: Request | None = None
    is_of_lifespan: bool = False
    is_of_test: bool = False
    nested: int = 0
    has_failed: bool = False
    is_broken: bool = False
    at_commit: AtCommit = field(default_factory=AtCommit)
    announced: Announced | None = None
    is_sending: bool = False

    def begin(self, *, is_of_test: bool) -> None:
        """Note who begins the transaction, unless it has begun."""
        if self.task is None:
            self.task = asyncio.current_task()
            self.request = REQUEST.get()
            self.root = _known(self.task) if self.request is None else self.request.sender
            self.is_of_lifespan = OF_LIFESPAN.get()
            self.is_of_test = is_of_test

    def end(self) -> None:
        """The transaction is over."""
        self.task = self.root = self.request = None
        self.nested, self.announced = 0, None
        self.has_failed = self.is_broken = False
        self.at_commit.clear()

    def count(self, kind: Kind) -> None:
        """Keep track of its own savepoints."""
        if kind is Kind.SAVEPOINT:
            self.nested += 1
        elif kind is Kind.RELEASE:
            # As SQL, after ROLLBACK TO: it was taken off already.
            self.nested = max(0, self.nested - 1)
        elif kind is Kind.ROLLBACK_TO:
            # SQLAlchemy forgets a savepoint that it has rolled back to, and does not release it.
            self.nested = max(0, self.nested - 1)
            self.has_failed = False

    @property
    def name(self) -> str:
        """For messages."""
        if self.is_of_test:
            return "db_session"
        return "the test" if self.task is None else f"task {self.task.get_name()}"


def _known(task: asyncio.Task[Any] | None) -> asyncio.Task[Any] | None:
    # SQLAlchemy ends a session in a task of its own, and what was not flushed before is written there.
    frame = getattr(None if task is None else task.get_coro(), "cr_frame", None)
    return None if frame is not None and frame.f_globals["__name__"].startswith("sqlalchemy.") else task
