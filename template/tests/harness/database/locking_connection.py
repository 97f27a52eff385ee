"""A connection that holds advisory locks, and is opened again with its locks if a proxy has closed it.

Advisory locks are per database. A lock that only was tried is not taken again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from selectors import EVENT_READ, DefaultSelector
from time import monotonic
from typing import Any

from psycopg import Cursor, OperationalError, sql

from ..postgres import server as servers
from ..postgres.server import Server

LOCK = "SELECT pg_advisory_lock(hashtextextended(%s, 0))"
# Another run may have taken it while it was free.
LOCK_LIMIT = "10s"

# The server may not know yet that a connection is closed, and would keep its locks.
BACKEND = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
END_BACKEND = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid = %s AND backend_start = %s"


class LockingConnection:
    """A connection of the harness to the maintenance database, for one thread.

    Attributes:
        times_reopened: how often it was found closed and opened again.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.times_reopened = 0
        self._locks: list[str] = []
        self._connect()

    def _connect(self) -> None:
        self._connection = self.server.connect()
        self._backend = self._connection.execute(BACKEND).fetchone()
        self._used_at = monotonic()

    def close(self) -> None:
        """Close the connection, which releases its locks."""
        self._connection.close()

    def is_alive(self) -> bool:
        """Whether the connection is still open on the server."""
        try:
            self._connection.execute("SELECT")
        except OperationalError:
            return False
        return True

    def reopen_if_closed(self) -> None:
        """Check the connection, and open it again if it is closed; locks that were waited for are taken again.

        Raises:
            psycopg.OperationalError: the server refuses a connection, or another run holds one of the locks.
        """
        if not self.is_alive():
            before = self._backend
            self._connection.close()
            self._connect()
            self.times_reopened += 1
            try:
                self._connection.execute(END_BACKEND, before)
                self._connection.execute(f"SET lock_timeout TO '{LOCK_LIMIT}'".encode())
                for name in self._locks:
                    self._connection.execute(LOCK, (name,))
                self._connection.execute("RESET lock_timeout")
            except OperationalError:
                # Without its locks, it must not be used.
                self._connection.close()
                raise
        self._used_at = monotonic()

    def check_if_idle(self) -> None:
        """The same, if it was not used for a while."""
        if monotonic() - self._used_at > servers.IDLE:
            self.reopen_if_closed()

    def lock(self, name: str) -> None:
        """Take a lock; waits until it is free."""
        self.one(LOCK, name)
        self._locks.append(name)

    def try_lock(self, name: str) -> bool:
        """Take a lock if it is free; returns whether it was."""
        return bool(self.one("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", name))

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold a lock in the block; waits until it is free."""
        self.lock(name)
        try:
            yield
        finally:
            self.unlock(name)

    @contextmanager
    def locked_if_free(self, name: str) -> Iterator[bool]:
        """Take a lock if it is free; yields whether it was. Releases it at the end."""
        is_held = self.try_lock(name)
        try:
            yield is_held
        finally:
            if is_held:
                self.unlock(name)

    def unlock(self, name: str) -> None:
        """Release a lock."""
        if name in self._locks:
            self._locks.remove(name)
        self.one("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", name)

    def rows(self, query: str, value: str) -> list[tuple[Any, ...]]:
        """The rows of a query with one parameter."""
        return self._execute(query.encode(), (value,)).fetchall()

    def one(self, query: str, value: str) -> Any:
        """The first column of a query's first row; None without rows."""
        rows = self.rows(query, value)
        return rows[0][0] if rows else None

    def run(self, statement: str, *names: str) -> None:
        """Run a statement; each `{}` in it is replaced by a quoted name."""
        self._execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def _execute(self, query: bytes | sql.Composed, values: tuple[str, ...] | None = None) -> Cursor[tuple[Any, ...]]:
        if self._has_input():
            self.reopen_if_closed()
        else:
            self.check_if_idle()
        try:
            return self._connection.execute(query, values)
        finally:
            self._used_at = monotonic()

    def _has_input(self) -> bool:
        # Between statements, the server sends hardly anything but the end of the connection.
        if self._connection.closed:
            # It could not be opened again.
            return True
        with DefaultSelector() as selector:
            selector.register(self._connection, EVENT_READ)
            return bool(selector.select(0))
