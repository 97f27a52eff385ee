"""The threads that use the synchronous connection: one sends a statement, and the others wait for it, with a limit."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import monotonic

from ..core.actor import current_actor, name_of
from .connection_of_tests import ConnectionOfTests
from .logical_connection import LogicalConnection
from .refusals import COPIES, LEFT_RUNNING, OWN_DATABASE, SENDS, STAYS_OPEN, IsolationError
from .shielded import LIMIT

# In a thread that a test has started: the test.
STARTED_BY: ContextVar[object] = ContextVar("savepoint_started_by", default=None)


@dataclass(eq=False)
class ConnectionOfThreads(ConnectionOfTests):
    """A connection that threads share.

    Attributes:
        free: held while a statement is being sent; notified at the end of each transaction.
        copying: the connection in whose COPY rows are being read or written.
        is_stopped: whether the test database has ended.
        test: the test that is running; None between tests.
        waiting: connections whose next statement waits for another transaction.
    """

    free: threading.Condition = field(default_factory=threading.Condition)
    copying: LogicalConnection | None = None
    is_stopped: bool = False
    test: object = None
    waiting: set[LogicalConnection] = field(default_factory=set)

    def isolate_if_needed(self) -> None:
        """Begin isolation, if nothing has begun it.

        Raises:
            IsolationError: an older test has started this thread.
        """
        if (test := STARTED_BY.get()) is not None and test is not self.test:
            # Not recorded: it is not the fault of the test that is running.
            raise IsolationError(LEFT_RUNNING.format(test))
        super().isolate_if_needed()

    def wake(self) -> None:
        """Let the threads that wait look again: the lifespan shuts down, or the test database ends."""
        # A statement that still runs wakes them at its end.
        if self.free.acquire(timeout=LIMIT):
            self.free.notify_all()
            self.free.release()

    @contextmanager
    def held(self, logical: LogicalConnection) -> Iterator[None]:
        """Let no other thread send in the block; raises `IsolationError` if another sends for too long."""
        # Without a limit for the lifespan: no test depends on it.
        limit = -1 if logical.is_of_lifespan else LIMIT
        if not self.free.acquire(timeout=limit):
            self.transactions.refuse(f"{SENDS.format(LIMIT)} Waiting for it: {_name(logical)}. {OWN_DATABASE}")
        try:
            deadline = monotonic() + LIMIT
            while self.copying not in (None, logical):
                # The thread itself has begun the COPY, or must go on so that the COPY ends.
                is_stuck = self.copying.root is current_actor() or asyncio._get_running_loop() is not None
                if is_stuck or not self.free.wait(deadline - monotonic()):
                    self.transactions.refuse(f"{COPIES} Waiting for it: {_name(logical)}. {OWN_DATABASE}")
            yield
        finally:
            self.free.release()

    @contextmanager
    def released_for_copy(self, logical: LogicalConnection) -> Iterator[None]:
        """Hold the mutex in no thread: the generator of a response may continue in another one."""
        self.copying = logical
        self.free.release()
        try:
            yield
        finally:
            self.free.acquire()
            self.copying = None
            self.free.notify_all()

    def wait_for_others(self, logical: LogicalConnection) -> None:
        """Wait until this transaction may send a statement: the lifespan's and the test's are not nested."""
        if self._blocker(logical) is None:
            return
        deadline = monotonic() + LIMIT
        self.waiting.add(logical)
        try:
            while not self.is_stopped and (blocker := self._blocker(logical)) is not None:
                if asyncio._get_running_loop() is not None:
                    # The event loop must go on, so that the other transaction can end.
                    return
                # Without a time limit for the lifespan: a test that does not wait for it may keep its transaction open.
                is_limited = not logical.is_of_lifespan or blocker.is_of_lifespan
                if not self.free.wait(deadline - monotonic() if is_limited else None):
                    wrong = STAYS_OPEN.format(blocker.name, LIMIT)
                    self.transactions.refuse(f"{wrong} Waiting for it: {logical.name}. {OWN_DATABASE}")
        finally:
            self.waiting.discard(logical)
            self.free.notify_all()

    def _blocker(self, logical: LogicalConnection) -> LogicalConnection | None:
        if logical.is_of_lifespan and not self.transactions.savepoints.own(logical):
            # The test comes first, also if the lifespan begins its next transaction at once.
            of_test = next((other for other in self.waiting if not other.is_of_lifespan), None)
            if of_test is not None:
                return of_test
        return super()._blocker(logical)

    def wait_for_lifespan(self) -> str | None:
        """Wait until a task of the lifespan has ended its transaction; returns an error message, or None."""
        deadline = monotonic() + LIMIT
        with self.free:
            while (owner := self.transactions.savepoints.lifespan_owner()) is not None:
                if not self.free.wait(deadline - monotonic()):
                    return STAYS_OPEN.format(owner.name, LIMIT)
        return None


def _name(logical: LogicalConnection) -> str:
    actor = current_actor()
    return logical.name if logical.task is not None or actor is None else name_of(actor)
