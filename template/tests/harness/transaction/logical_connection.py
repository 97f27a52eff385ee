"""The state of one connection of the application on the shared connection of a savepoint test."""

import asyncio
from collections.abc import Collection, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field

from ..core.actor import Actor, current_actor, name_of
from ..core.requests import REQUEST, Request
from .commit_effects import CommitEffects
from .statement_kind import Kind


@dataclass(eq=False)
class Serving:
    """The value of `IN_LIFESPAN` in the lifespan of a TestClient: true between its startup and its shutdown.

    Args:
        sender: the task or thread that waits for the startup and the shutdown.
    """

    sender: Actor | None
    is_on: bool = False

    def __bool__(self) -> bool:
        return self.is_on


# True in tasks of the lifespan: their statements belong to no test.
IN_LIFESPAN: ContextVar["bool | Serving"] = ContextVar("savepoint_in_lifespan", default=False)


# True in env.py and in the migrations that it runs.
IN_MIGRATION: ContextVar[bool] = ContextVar("savepoint_in_migration", default=False)


@dataclass(frozen=True)
class NextStatement:
    """A statement that SQLAlchemy is about to send.

    Attributes:
        kind: the kind of the statement.
        is_autocommit: whether the statement is a transaction by itself.
        modes: modes of the transaction that it begins, e.g. "READ ONLY".
        settings: the names of the local settings that it sets.
        name: the name of the savepoint that it creates, releases or rolls back to.
    """

    kind: Kind
    is_autocommit: bool = False
    modes: Sequence[str] = ()
    settings: Collection[str] = ()
    name: str = ""


# A statement that the application sends through the driver, without SQLAlchemy.
DRIVER_STATEMENT = NextStatement(Kind.WRITE)


@dataclass(eq=False)
class LogicalConnection:
    """A connection as an engine sees it, and the transaction that it is in.

    Attributes:
        is_connecting: whether the pool is setting up the connection.
        level: the isolation level of its engine; None for the server's default.
        task: the task or thread that began the transaction; None between transactions.
        root: the task or thread that sent the request, or waits for the startup of a TestClient; otherwise the same as
            `task`; None if unknown.
        request: the request during which the transaction began; None outside of requests.
        is_of_lifespan: true if a task of the lifespan began the transaction.
        is_of_test: whether the connection is that of `db_session`.
        nested: the number of open savepoints of `begin_nested()`.
        has_failed: whether a statement has failed, so that PostgreSQL refuses further statements.
        was_rolled_back: whether the failed transaction was rolled back early, for the sake of another transaction.
        commit_effects: other effects of the end of the transaction.
        next_statement: the next statement of SQLAlchemy; None if SQLAlchemy does not send it.
        is_sending: whether a statement is being sent.
    """

    is_connecting: bool = True
    level: str | None = None
    task: Actor | None = None
    root: Actor | None = None
    request: Request | None = None
    is_of_lifespan: bool | Serving = False
    is_of_test: bool = False
    nested: int = 0
    has_failed: bool = False
    was_rolled_back: bool = False
    commit_effects: CommitEffects = field(default_factory=CommitEffects)
    next_statement: NextStatement | None = None
    is_sending: bool = False

    def begin(self, *, is_of_test: bool) -> None:
        """Record the task and the request that begin the transaction, unless it has begun."""
        if self.task is None:
            self.task = current_actor()
            self.request = REQUEST.get()
            # Not its truth, which changes.
            self.is_of_lifespan = lifespan = IN_LIFESPAN.get()
            if self.request is not None:
                self.root = self.request.sender
            else:
                self.root = lifespan.sender if isinstance(lifespan, Serving) else _known(self.task)
            self.is_of_test = is_of_test

    def end(self) -> None:
        """Reset the state at the end of the transaction."""
        self.task = self.root = self.request = None
        self.nested, self.next_statement = 0, None
        self.has_failed = self.was_rolled_back = False
        self.commit_effects.clear()

    @property
    def name(self) -> str:
        """The name of the connection in messages."""
        if self.is_of_test:
            return "db_session"
        return "the test" if self.task is None else name_of(self.task)


def _known(task: Actor | None) -> Actor | None:
    # SQLAlchemy closes a session in a separate task, which may flush pending changes.
    frame = getattr(task.get_coro() if isinstance(task, asyncio.Task) else None, "cr_frame", None)
    return None if frame is not None and frame.f_globals["__name__"].startswith("sqlalchemy.") else task
