"""A connection to the maintenance database: creates and drops databases, and holds advisory locks.

The locks keep runs and workers from using each other's databases.
"""

from psycopg import sql
from psycopg.errors import WrongObjectType

from .locking_connection import LockingConnection
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


class MaintenanceConnection(LockingConnection):
    """A connection of the harness to the maintenance database, for one thread."""

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
