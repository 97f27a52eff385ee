"""A connection to the maintenance database: creates and drops databases, and holds advisory locks.

The locks keep runs and workers from using each other's databases. Advisory locks are per database. A connection that a
proxy has closed while it was idle is opened again, and takes its locks again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from selectors import EVENT_READ, DefaultSelector
from time import monotonic
from typing import Any

from psycopg import Cursor, OperationalError, sql
from psycopg.errors import WrongObjectType

from ..postgres import server as servers
from ..postgres.server import Server
from .ownership import TEMPLATE_PREFIX, Database, lock_of, run_comment

DATABASES = """
    SELECT datname, datistemplate, rolname, rolname = current_user,
           coalesce(shobj_description(d.oid, 'pg_database'), '')
    FROM pg_database d JOIN pg_roles r ON r.oid = datdba WHERE starts_with(datname, %s) ORDER BY datname
"""

# The same sort order and case mapping on every server, whatever its locale is.
BUILTIN_LOCALE = "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LC_COLLATE 'C' LC_CTYPE 'C'"
LIBC_LOCALE = "LOCALE_PROVIDER libc LC_COLLATE '{0}' LC_CTYPE '{0}'"

# The first that the server's machine has: macOS and older distributions of enterprises lack C.UTF-8. All but the last
# know which letters are not ASCII; the last is always there.
LIBC_LOCALES = ("C.UTF-8", "C.utf8", "en_US.UTF-8", "en_US.utf8", "C")

LOCK = "SELECT pg_advisory_lock(hashtextextended(%s, 0))"


class MaintenanceConnection:
    """A connection of the harness to the maintenance database, for one thread.

    Attributes:
        times_reopened: how often it was found closed and opened again.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.times_reopened = 0
        self._locks: list[str] = []
        self._connection = server.connect()
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
        """Check the connection, and open it again if it is closed; its locks are taken again."""
        if not self.is_alive():
            self._connection.close()
            self._connection = self.server.connect()
            self.times_reopened += 1
            for name in self._locks:
                self._connection.execute(LOCK, (name,))
        self._used_at = monotonic()

    def check_if_idle(self) -> None:
        """The same, if it was not used for a while."""
        if monotonic() - self._used_at > servers.IDLE:
            self.reopen_if_closed()

    def create(self, name: str) -> None:
        """Create an empty database."""
        locales = [BUILTIN_LOCALE] if self.server.major >= 17 else [LIBC_LOCALE.format(each) for each in LIBC_LOCALES]
        for number, locale in enumerate(locales, 1):
            try:
                self.run("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' " + locale, name)
                break
            except WrongObjectType:
                # Its message: invalid LC_COLLATE locale name.
                if number == len(locales):
                    raise
        self._mark(name)

    def clone(self, template: str, name: str) -> None:
        """Clone the database `template`, which must have no connections."""
        # A shared lock: several clones at once, but none while a run builds the template database again.
        self.one("SELECT pg_advisory_lock_shared(hashtextextended(%s, 0))", template)
        try:
            # FILE_COPY: 12 ms against 22 ms for WAL_LOG on tmpfs, since it copies files instead of logging pages.
            self.run("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, template)
        finally:
            self.one("SELECT pg_advisory_unlock_shared(hashtextextended(%s, 0))", template)
        self._mark(name)

    def drop(self, name: str) -> None:
        """Drop a database of the harness, and end its connections."""
        if lock_of(name) is None:
            raise ValueError(f"the harness drops only its own databases, not {name!r}")
        if name.startswith(TEMPLATE_PREFIX):
            self.run("ALTER DATABASE {} IS_TEMPLATE false", name)
        self.run("DROP DATABASE {} WITH (FORCE)", name)

    def begin_with(self, prefix: str) -> list[Database]:
        """All databases whose names begin with `prefix`, of any owner."""
        return [Database(*row) for row in self.rows(DATABASES, prefix)]

    def find(self, name: str) -> Database | None:
        """The database of this name; None if it does not exist."""
        return next((found for found in self.begin_with(name) if found.name == name), None)

    def lock(self, name: str) -> None:
        """Take a lock; waits until it is free."""
        self.one(LOCK, name)
        self._locks.append(name)

    def try_lock(self, name: str) -> bool:
        """Take a lock if it is free; returns whether it was."""
        is_held = bool(self.one("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", name))
        if is_held:
            self._locks.append(name)
        return is_held

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

    def _mark(self, name: str) -> None:
        # CREATE DATABASE copies neither comments nor settings. All statements in one round trip.
        comment = sql.Literal(run_comment(self.server.maintenance_database)).as_string(self._connection)
        statements = ["COMMENT ON DATABASE {0} IS " + comment, "ALTER DATABASE {0} SET timezone TO 'UTC'"]
        # A setting of the role precedes one of the database; one of both precedes each.
        statements += [
            "ALTER ROLE CURRENT_USER IN DATABASE {0} SET " + f"{setting} TO '{value}'"
            for setting, value in self.server.session_settings.items()
        ]
        self.run("; ".join(statements), name)
