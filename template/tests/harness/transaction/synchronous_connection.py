"""The connection of a savepoint test for synchronous engines, in any thread, one statement at a time.

The transactions are those of `SharedConnection`: COMMIT becomes RELEASE, and ROLLBACK becomes ROLLBACK TO.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from .blocking_connection import BlockingConnection, finished
from .logical_connection import DRIVER_STATEMENT, LogicalConnection
from .outer_transaction import Mode
from .raw_connection import Driver, is_of_server
from .refusals import RUN_ENDED, STILL_RUNS, IsolationError, NoTestDatabaseError
from .shielded import LIMIT
from .threads import ConnectionOfThreads


@dataclass(eq=False)
class SynchronousConnection(ConnectionOfThreads):
    """A connection of psycopg or psycopg2, opened when the first synchronous engine connects."""

    _open: tuple[Driver, Callable[[], Any]] | None = None

    def connect(self, driver: Driver, open_: Callable[[], Any]) -> None:
        """Open the connection unless it is open; `open_` also reopens it later."""
        with self.free:
            if not self.transactions.is_open:
                self._open, self.is_stopped = (driver, open_), False
                self._reopen()

    def reopen_if_closed(self) -> None:
        """Open the connection again: it was closed between tests, and an engine still uses its proxy."""
        with self.free:
            if self.transactions.connection is None:
                self._reopen()

    def _reopen(self) -> None:
        if self._open is None:
            raise NoTestDatabaseError(RUN_ENDED)
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
            if not self.free.wait_for(lambda: self.copying is None, LIMIT):
                self.terminate()
                return STILL_RUNS.format(LIMIT)
            wrong = self.wait_for_lifespan()
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

    def stop(self) -> bool:
        """Close it for good: tasks of the lifespan that wait for a test fail; returns whether it was ever open."""
        was_used, self._open, self.is_stopped = self._open is not None, None, True
        # Without the mutex: a thread may hold it for long, and its statement fails.
        self.terminate()
        self.wake()
        return was_used

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Close the connection, and let no engine open another one in the block."""
        with self.free:
            self.close()
            yield

    @contextmanager
    def statement(self, logical: LogicalConnection, *, is_copy: bool = False) -> Iterator[None]:
        """Let the block send a statement, exclusively, with the savepoint of its transaction on top.

        Args:
            logical: the connection that sends the statement.
            is_copy: whether the block may end in another thread.

        Raises:
            IsolationError: a savepoint test cannot imitate the statement; the message says what to write instead.
        """
        next_statement, logical.next_statement = logical.next_statement or DRIVER_STATEMENT, None
        if not logical.is_connecting:
            # The driver may be called without SQLAlchemy.
            self.isolate_if_needed()
        with self.held(logical):
            self.wait_for_others(logical)
            logical.is_sending = True
            try:
                self.reopen_if_closed()
                if not self.transactions.can_send_now(logical, next_statement):
                    finished(self.transactions.prepare(logical, next_statement, self.transactions.mode))
                with self.released_for_copy(logical) if is_copy else nullcontext():
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
        with self.held(logical):
            try:
                finished(self.transactions.commit(logical))
            finally:
                self.free.notify_all()

    def roll_back(self, logical: LogicalConnection) -> None:
        """Roll back a transaction; raises `IsolationError` if that would undo changes of another transaction."""
        with self.held(logical):
            try:
                finished(self.transactions.roll_back(logical))
            finally:
                self.free.notify_all()

    def end_connecting(self, logical: LogicalConnection) -> None:
        """Called when the pool has set up a connection."""
        logical.is_connecting = False
        with self.held(logical):
            finished(self.transactions.end_connecting("COMMIT"))
