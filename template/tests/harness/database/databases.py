"""Creates, clones and drops the databases of a worker, and sweeps databases of ended runs.

Each worker holds an advisory lock in the maintenance database (advisory locks are per database). If the worker of a
database holds no lock, its run has ended, and the next run of the same role on the server drops the database. A
template database is dropped a week after its last use. If a run is killed between CREATE DATABASE and COMMENT, the
database has no mark and must be dropped by hand.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from sqlalchemy import URL

from ..postgres.server import Server
from ..postgres.settings import first_line
from .maintenance import MaintenanceConnection
from .ownership import PREFIX, TEMPLATE_PREFIX, Database, left_over_line, lock_of
from .template_databases import TemplateDatabases


@dataclass(frozen=True)
class WorkerDatabase:
    """Name and URL of the database of one worker or one test."""

    name: str
    url: URL


class SqlBeforeMigrationsError(Exception):
    """A statement of the setting `sql_before_migrations` failed."""

    def __init__(self, statement: str, error: str) -> None:
        super().__init__(f"pyproject.toml: [tool.savepoint]: sql_before_migrations: {statement}: {error}")


class WorkerDatabases:
    """Creates and drops databases for one worker of a run.

    Args:
        server: the server.
        owner: the run and the worker, such as `1f0c9a3e_gw0`; part of the names of the databases.
        sql_before_migrations: statements for each database that is created empty.

    Attributes:
        source: the name of the database that tests get clones of; "" until it exists.
        templates: the template databases of the server.
        of_test: the names of databases that exist for the current test only.
    """

    def __init__(self, server: Server, owner: str, sql_before_migrations: Sequence[str] = ()) -> None:
        self.server = server
        self._sql_before_migrations = sql_before_migrations
        self.prefix = f"{PREFIX}{owner}"
        self._run_id = owner.partition("_")[0]
        self._maintenance = MaintenanceConnection(server)
        self.source = ""
        self.of_test: set[str] = set()
        self._count = 0
        self._kept: set[str] = set()
        self._cloned: set[str] = set()
        self._times_checked = 0
        self.templates = TemplateDatabases(self._maintenance, self._run_id, self.create_empty)
        self._maintenance.lock(self.prefix)

    def close(self) -> None:
        """Drop the databases of this worker, unless the server ends with the run, and release its lock."""
        if self.server.source == "url":
            for found in self._maintenance.begin_with(self.prefix):
                # Compares locks, since the prefix of gw1 also begins the names of gw10.
                if lock_of(found.name) == self.prefix and not found.not_owned_reason and found.name not in self._kept:
                    self._maintenance.drop(found.name)
        self._maintenance.close()

    def is_connected(self) -> bool:
        """Whether this worker's maintenance connection, which holds its lock, is still open."""
        return self._maintenance.is_alive()

    def reopen_if_closed(self, *, only_if_idle: bool = False) -> bool:
        """Open the maintenance connection again if it was closed; returns whether the databases are still there.

        Args:
            only_if_idle: check the connection only if it was not used for a while.

        Raises:
            psycopg.OperationalError: the server does not answer, or refuses the connection.
        """
        if only_if_idle:
            self._maintenance.check_if_idle()
        else:
            self._maintenance.reopen_if_closed()
        if self.times_reopened == self._times_checked:
            return True
        self._times_checked = self.times_reopened
        # Without the lock, the sweep of another run drops them.
        return self._cloned <= {found.name for found in self._maintenance.begin_with(self.prefix)}

    @property
    def times_reopened(self) -> int:
        """How often the maintenance connection was found closed."""
        return self._maintenance.times_reopened

    def next_name(self) -> str:
        """A new name for a database of this worker."""
        self._count += 1
        return f"{self.prefix}_{self._count}"

    def create_empty(self) -> str:
        """Create an empty database for this worker; returns its name, or raises `SqlBeforeMigrationsError`."""
        name = self.next_name()
        self._maintenance.create(name)
        with self.server.connect(name) as connection:
            for statement in self._sql_before_migrations:
                try:
                    connection.execute(statement.encode())
                except psycopg.Error as error:
                    self._maintenance.drop(name)
                    raise SqlBeforeMigrationsError(statement, first_line(error)) from error
        return name

    def clone(self, template: str) -> str:
        """Clone the database `template`, which must have no connections; returns the name of the clone."""
        name = self.next_name()
        self._maintenance.clone(template, name)
        self._cloned.add(name)
        return name

    def renew(self, name: str) -> None:
        """Replace the worker's database with a new clone, after a commit."""
        self._maintenance.drop(name)
        self._maintenance.clone(self.source, name)

    @contextmanager
    def admitting(self, name: str) -> Iterator[None]:
        """Let the test connect to this database in the block, by `postgres_server` and `migrations`."""
        self.of_test.add(name)
        try:
            yield
        finally:
            self.of_test.discard(name)

    def drop(self, name: str) -> None:
        """Drop a database of the harness, and end its connections."""
        self._cloned.discard(name)
        self._maintenance.drop(name)

    def keep(self, name: str) -> None:
        """Keep a database when this worker ends; the next run drops it."""
        self._kept.add(name)

    def sweep(self) -> str | None:
        """Drop the databases of ended runs, and template databases that no run has used for a week.

        Only the first worker of a run does it.

        Returns:
            A line on the databases that were not dropped; None without any.
        """
        if not self._maintenance.try_lock(f"{PREFIX}{self._run_id}_sweep"):
            return None
        left, refused = [], []
        for name in [found.name for found in self._maintenance.begin_with(PREFIX)]:
            lock = lock_of(name)
            # A worker of this run may have lost its connection, and with it the lock.
            if lock is None or lock.startswith(f"{PREFIX}{self._run_id}_"):
                continue
            with self._maintenance.locked_if_free(lock) as is_free:
                # Read again under its lock, since it may have changed.
                found = self._maintenance.find(name) if is_free else None
                if found is None or not found.is_unused() or not self._has_lock_of(found):
                    continue
                if found.not_owned_reason:
                    left.append(found)
                elif error := self._drop_error(name):
                    refused.append(error)
        return left_over_line(left, refused)

    def _has_lock_of(self, found: Database) -> bool:
        return found.name.startswith(TEMPLATE_PREFIX) or found.lock_database == self.server.maintenance_database

    def _drop_error(self, name: str) -> str | None:
        """Drop a database; returns the server's error message, or None."""
        try:
            self._maintenance.drop(name)
        except psycopg.Error as error:
            if not self.is_connected():
                raise
            return first_line(error)
        return None
