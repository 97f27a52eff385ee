"""The connection of a savepoint test for synchronous engines, in any thread, one statement at a time.

The transactions are those of `SharedConnection`: COMMIT becomes RELEASE, and ROLLBACK becomes ROLLBACK TO.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from .blocking_connection import BlockingConnection, finished
from .connection_of_tests import ConnectionOfTests
from .logical_connection import DRIVER_STATEMENT, LogicalConnection
from .outer_transaction import Mode
from .raw_connection import Driver, is_of_server
from .refusals import OWN_DATABASE, STAYS_OPEN, STILL_RUNS, IsolationError
from .shielded import LIMIT


@dataclass(eq=False)
class SynchronousConnection(ConnectionOfTests):
    """A connection of psycopg or psycopg2, opened when the first synchronous engine connects.

    Attributes:
        free: held while a statement is being sent; notified at the end of each transaction.
    """

    free: threading.Condition = field(default_factory=threading.Condition)
    _open: tuple[Driver, Callable[[], Any]] | None = None

    def connect(self, driver: Driver, open_: Callable[[], Any]) -> None:
        """Open the connection unless it is open; `open_` also reopens it later."""
        with self.free:
            if not self.transactions.is_open:
                self._open = driver, open_
                self._reopen()

    def reopen_if_closed(self) -> None:
        """Open the connection again: it was closed between tests, and an engine still uses its proxy."""
        with self.free:
            if self.transactions.connection is None:
                self._reopen()

    def _reopen(self) -> None:
        if self._open is not None:
            driver, open_ = self._open
            self.transactions.use(BlockingConnection(driver, open_()))

    def begin(self, mode: Mode) -> None:
        """Called at the beginning of a test or a fixture, and before the startup of the lifespan."""
        if not self.free.acquire(timeout=LIMIT):
            raise IsolationError(STILL_RUNS.format(LIMIT))
        try:
            self.transactions.begin(mode)
            self.free.notify_all()
        finally:
            self.free.release()

    def end(self, *, is_commit: bool = True) -> str | None:
        """Roll back the test, or commit what a fixture or the lifespan wrote; returns an error message, or None."""
        mode = self.transactions.mode
        try:
            if not self.free.acquire(timeout=LIMIT):
                self.terminate()
                return STILL_RUNS.format(LIMIT)
        except BaseException:
            # The time limit of the test.
            self.terminate()
            raise
        try:
            wrong = self._wait_for_lifespan()
            self.transactions.mode = "outside"
            if self.transactions.connection is None:
                return wrong
            is_commit = is_commit and mode == "seeding" and wrong is None
            return finished(self.transactions.end(mode, is_commit=is_commit)) or wrong
        except BaseException as error:
            # The server rolls back a closed connection; an open transaction would continue in the next test.
            self.terminate()
            if mode == "seeding" or not isinstance(error, Exception):
                raise
            return None
        finally:
            self.transactions.reset()
            self.free.notify_all()
            self.free.release()

    def has_changes(self) -> bool:
        """Whether something was written since the mode began."""
        with self.free:
            return self.transactions.is_open and finished(self.transactions.has_changes())

    def close(self) -> None:
        """Close the connection; the next engine opens another one."""
        connection = self.transactions.connection
        self.transactions.use(None)
        if connection is not None:
            finished(connection.close())

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Close the connection, and let no engine open another one in the block."""
        with self.free:
            self.close()
            yield

    @contextmanager
    def statement(self, logical: LogicalConnection) -> Iterator[None]:
        """Let the block send a statement, exclusively, with the savepoint of its transaction on top.

        Raises:
            IsolationError: a savepoint test cannot imitate the statement; the message says what to write instead.
        """
        next_statement, logical.next_statement = logical.next_statement or DRIVER_STATEMENT, None
        if not logical.is_connecting:
            # The driver may be called without SQLAlchemy.
            self.isolate_if_needed()
        with self.free:
            self._wait_for_others(logical)
            logical.is_sending = True
            try:
                self.reopen_if_closed()
                if not self.transactions.can_send_now(logical, next_statement):
                    finished(self.transactions.prepare(logical, next_statement, self.transactions.mode))
                yield
            except BaseException as error:
                if next_statement.is_autocommit:
                    finished(self.transactions.roll_back(logical))
                elif is_of_server(error) and self.transactions.is_open:
                    logical.has_failed = bool(self.transactions.savepoints.own(logical))
                raise
            else:
                if next_statement.is_autocommit:
                    finished(self.transactions.commit(logical))
            finally:
                logical.is_sending = False

    def commit(self, logical: LogicalConnection) -> None:
        """Commit a transaction; its changes stay until the outer transaction ends."""
        with self.free:
            try:
                finished(self.transactions.commit(logical))
            finally:
                self.free.notify_all()

    def roll_back(self, logical: LogicalConnection) -> None:
        """Roll back a transaction; raises `IsolationError` if that would undo changes of another transaction."""
        with self.free:
            try:
                finished(self.transactions.roll_back(logical))
            finally:
                self.free.notify_all()

    def end_connecting(self, logical: LogicalConnection) -> None:
        """Called when the pool has set up a connection."""
        logical.is_connecting = False
        with self.free:
            finished(self.transactions.end_connecting("COMMIT"))

    def _wait_for_others(self, logical: LogicalConnection) -> None:
        """Wait until this transaction may send a statement: the lifespan's and the test's are not nested."""
        deadline = monotonic() + LIMIT
        while (blocker := self._blocker(logical)) is not None:
            if asyncio._get_running_loop() is not None:
                # The event loop must go on, so that the other transaction can end.
                return
            # Without a time limit for the lifespan: a test that does not wait for it may keep its transaction open.
            is_limited = not logical.is_of_lifespan or blocker.is_of_lifespan
            if not self.free.wait(deadline - monotonic() if is_limited else None):
                wrong = STAYS_OPEN.format(blocker.name, LIMIT)
                self.transactions.refuse(f"{wrong} Waiting for it: {logical.name}. {OWN_DATABASE}")

    def _wait_for_lifespan(self) -> str | None:
        """Wait until a task of the lifespan has ended its transaction; returns an error message, or None."""
        deadline = monotonic() + LIMIT
        with self.free:
            while (owner := self.transactions.savepoints.lifespan_owner()) is not None:
                if not self.free.wait(deadline - monotonic()):
                    return STAYS_OPEN.format(owner.name, LIMIT)
        return None
