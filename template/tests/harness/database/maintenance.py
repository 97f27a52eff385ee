"""CREATE DATABASE and DROP DATABASE on one connection, and the locks that keep runs and workers apart.

Locks are taken in database `postgres`: advisory locks are per database.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import OperationalError, sql

from ..postgres.server import Server
from .ownership import OF_RUN, TEMPLATE_PREFIX, Database, lock_of

DATABASES = """
    SELECT datname, datistemplate, rolname, rolname = current_user,
           coalesce(shobj_description(d.oid, 'pg_database'), '')
    FROM pg_database d JOIN pg_roles r ON r.oid = datdba WHERE starts_with(datname, %s) ORDER BY datname
"""

# Nothing is inherited from the machine: the same order of strings, and the same case, on every rung.
BUILTIN_LOCALE = "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LC_COLLATE 'C' LC_CTYPE 'C'"
LIBC_LOCALE = "LOCALE_PROVIDER libc LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'"


class Maintenance:
    """A connection of the harness's own, for one thread."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._connection = server.connect()

    def close(self) -> None:
        """Close the connection, and with it give up its locks."""
        self._connection.close()

    def is_alive(self) -> bool:
        """Whether the server still knows this connection."""
        try:
            self._connection.execute("SELECT")
        except OperationalError:
            return False
        return True

    def create(self, name: str) -> None:
        """Make a database with nothing in it."""
        locale = BUILTIN_LOCALE if self.server.major >= 17 else LIBC_LOCALE
        self.run("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' " + locale, name)
        self._mark(name)

    def clone(self, template: str, name: str) -> None:
        """Make a copy of the database `template`, which nobody may be connected to."""
        # Shared, so that clones may be made side by side, and none while somebody builds the template again.
        self.one("SELECT pg_advisory_lock_shared(hashtextextended(%s, 0))", template)
        try:
            # FILE_COPY: 12 ms against 22 ms for WAL_LOG on tmpfs, since it copies files instead of logging pages.
            self.run("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, template)
        finally:
            self.one("SELECT pg_advisory_unlock_shared(hashtextextended(%s, 0))", template)
        self._mark(name)

    def drop(self, name: str) -> None:
        """Drop a database of the harness, whoever is connected to it."""
        if lock_of(name) is None:
            raise ValueError(f"the harness drops only databases of its own, and {name!r} is not one")
        if name.startswith(TEMPLATE_PREFIX):
            self.run("ALTER DATABASE {} IS_TEMPLATE false", name)
        self.run("DROP DATABASE {} WITH (FORCE)", name)

    def begin_with(self, prefix: str) -> list[Database]:
        """The databases whose names begin so, whoever made them."""
        return [Database(*row) for row in self.rows(DATABASES, prefix)]

    def find(self, name: str) -> Database | None:
        """The database of this name, if there is one."""
        return next((found for found in self.begin_with(name) if found.name == name), None)

    def lock(self, name: str) -> None:
        """Wait for a lock, and hold it."""
        self.one("SELECT pg_advisory_lock(hashtextextended(%s, 0))", name)

    def try_lock(self, name: str) -> bool:
        """Hold a lock if nobody else does; returns whether it is held."""
        return bool(self.one("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", name))

    @contextmanager
    def locked_if_free(self, name: str) -> Iterator[bool]:
        """Hold a lock if nobody else does; yields whether it is held."""
        is_held = self.try_lock(name)
        try:
            yield is_held
        finally:
            if is_held:
                self.unlock(name)

    def unlock(self, name: str) -> None:
        """Give up a lock."""
        self.one("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", name)

    def rows(self, query: str, value: str) -> list[tuple[Any, ...]]:
        """What a query with one parameter answers."""
        return self._connection.execute(query.encode(), (value,)).fetchall()

    def one(self, query: str, value: str) -> Any:
        """The first column of a query's first row; None without one."""
        rows = self.rows(query, value)
        return rows[0][0] if rows else None

    def run(self, statement: str, *names: str) -> None:
        """Run a statement in which each `{}` is a name."""
        self._connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def _mark(self, name: str) -> None:
        # CREATE DATABASE copies neither comments nor settings. Both in one round trip.
        self.run("COMMENT ON DATABASE {} IS " + f"'{OF_RUN}'; ALTER DATABASE " + "{} SET timezone TO 'UTC'", name, name)
