"""Databases on the test server: made, cloned, dropped, and swept; only those whose names begin with `savepoint_`.

A run holds an advisory lock for each of its workers, in database `postgres` (advisory locks are per database). A
database whose worker holds no lock belongs to a run that is over, and the next run on that server drops it. Template
databases say when they were last used, and stay for a week.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import URL

from .postgres.server import Server

PREFIX = "savepoint_"
TEMPLATE_PREFIX = "savepoint_template_"

WEEK = timedelta(days=7)
TEMPLATE = "SELECT datistemplate, shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
ALL_DATABASES = """
    SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database WHERE starts_with(datname, %s)
"""

# Nothing is inherited from the machine: the same order of strings, and the same case, on every rung.
BUILTIN_LOCALE = "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LC_COLLATE 'C' LC_CTYPE 'C'"
LIBC_LOCALE = "LOCALE_PROVIDER libc LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'"


@dataclass(frozen=True)
class WorkerDatabase:
    """The database of one worker of a run: its name, and where it is."""

    name: str
    url: URL


class Databases:
    """Makes and drops databases for one worker of a run.

    Args:
        server: where.
        owner: the run and the worker, such as `1f0c9a3e_gw0`; part of the names of the databases that go with them.
    """

    def __init__(self, server: Server, owner: str) -> None:
        self.server = server
        self.prefix = f"{PREFIX}{owner}"
        self._run_id = owner.partition("_")[0]
        self._admin = server.connect()
        self._count = 0
        self._lock(self.prefix)

    def close(self) -> None:
        """Drop what this worker made, if its server outlives the run, and give up its lock."""
        if self.server.rung == "url":
            # With the underscore: gw1 would otherwise take what belongs to gw10.
            for name in self._names(f"{self.prefix}_"):
                self.drop(name)
        self._admin.close()

    def create_empty(self) -> str:
        """Make a database with nothing in it, for this worker; returns its name."""
        return self._create(self._next_name())

    def clone(self, template: str) -> str:
        """Make a copy of the database `template`, which nobody may be connected to; returns its name."""
        name = self._next_name()
        # Shared, so that clones may be made side by side, and none while somebody builds the template again.
        self._one("SELECT pg_advisory_lock_shared(hashtextextended(%s, 0))", template)
        try:
            # FILE_COPY: 12 ms against 22 ms for WAL_LOG on tmpfs, since it copies files instead of logging pages.
            self._run("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, template)
        finally:
            self._one("SELECT pg_advisory_unlock_shared(hashtextextended(%s, 0))", template)
        self._set_time_zone(name)
        return name

    def drop(self, name: str) -> None:
        """Drop a database of the harness, whoever is connected to it."""
        if not name.startswith(PREFIX):
            raise ValueError(f"the harness drops only databases of its own, and {name!r} is not one")
        if name.startswith(TEMPLATE_PREFIX):
            self._run("ALTER DATABASE {} IS_TEMPLATE false", name)
        self._run("DROP DATABASE {} WITH (FORCE)", name)

    @contextmanager
    def template(self, name: str, *, rebuild: bool = False) -> Iterator[bool]:
        """Hold the lock on a template database and make it, empty, if it is not there; yields whether it has to be
        built.

        It is sealed when the block ends, and dropped if the block fails: a template database is whole, or it is not
        there.

        Args:
            rebuild: make it again, unless this run has done so already.
        """
        self._lock(name)
        try:
            row = self._admin.execute(TEMPLATE, (name,)).fetchone()
            is_there, is_sealed, comment = (False, False, None) if row is None else (True, *row)
            is_of_this_run = comment is not None and comment.endswith(f"built by {self._run_id}")
            if is_sealed and (is_of_this_run or not rebuild):
                yield False
                if not is_of_this_run:
                    self._mark_as_used(name)
                return
            if is_there:
                self.drop(name)
            self._create(name)
            try:
                yield True
            except BaseException:
                self.drop(name)
                raise
            self._run("ALTER DATABASE {} IS_TEMPLATE true ALLOW_CONNECTIONS false", name)
            self._mark_as_used(name, f", built by {self._run_id}")
        finally:
            self._unlock(name)

    def sweep(self) -> None:
        """Drop the databases of runs that are over, and the template databases that no run has used for a week."""
        for name, last_used in self._admin.execute(ALL_DATABASES, (PREFIX,)).fetchall():
            if name.startswith(TEMPLATE_PREFIX):
                lock = name
                # Without a word it was never sealed; whoever is building one holds its lock.
                is_over = last_used is None or last_used < f"last used {_today() - WEEK}"
            else:
                lock = "_".join(name.split("_")[:3])
                is_over = lock != self.prefix
            if is_over and self._one("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", lock):
                self.drop(name)
                self._unlock(lock)

    def _next_name(self) -> str:
        self._count += 1
        return f"{self.prefix}_{self._count}"

    def _create(self, name: str) -> str:
        locale = BUILTIN_LOCALE if self.server.major >= 17 else LIBC_LOCALE
        self._run("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' " + locale, name)
        self._set_time_zone(name)
        return name

    def _set_time_zone(self, name: str) -> None:
        # A setting of a database is not part of what CREATE DATABASE copies.
        self._run("ALTER DATABASE {} SET timezone TO 'UTC'", name)

    def _names(self, prefix: str) -> list[str]:
        query = "SELECT datname FROM pg_database WHERE starts_with(datname, %s)"
        return [name for (name,) in self._admin.execute(query, (prefix,))]

    def _mark_as_used(self, name: str, more: str = "") -> None:
        self._run("COMMENT ON DATABASE {} IS " + f"'last used {_today()}{more}'", name)

    def _unlock(self, name: str) -> None:
        self._one("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", name)

    def _lock(self, name: str) -> None:
        self._one("SELECT pg_advisory_lock(hashtextextended(%s, 0))", name)

    def _one(self, query: str, value: str) -> Any:
        row = self._admin.execute(query.encode(), (value,)).fetchone()
        return None if row is None else row[0]

    def _run(self, statement: str, *names: str) -> psycopg.Cursor[Any]:
        return self._admin.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _today() -> date:
    return datetime.now(UTC).date()
