"""Databases on the test server: made, cloned, dropped, and swept; only those whose names begin with `savepoint_`.

A run holds an advisory lock for each of its workers, in database `postgres` (advisory locks are per database). A
database whose worker holds no lock belongs to a run that is over, and the next run on that server drops it. Template
databases say when they were last used, and stay for a week.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import URL

from .maintenance import PREFIX, TEMPLATE_PREFIX, Maintenance
from .postgres.server import Server

WEEK = timedelta(days=7)
TEMPLATE = "SELECT datistemplate, shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
NAMES = "SELECT datname FROM pg_database WHERE starts_with(datname, %s)"


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

    Attributes:
        source: the database that tests get copies of, once it is there.
    """

    def __init__(self, server: Server, owner: str) -> None:
        self.server = server
        self.prefix = f"{PREFIX}{owner}"
        self._run_id = owner.partition("_")[0]
        self._maintenance = Maintenance(server)
        # What tests get copies of.
        self.source = ""
        self._count = 0
        self._kept: set[str] = set()
        self._maintenance.lock(self.prefix)

    def close(self) -> None:
        """Drop what this worker made, if its server outlives the run, and give up its lock."""
        if self.server.rung == "url":
            # With the underscore: gw1 would otherwise take what belongs to gw10.
            for (name,) in self._maintenance.rows(NAMES, f"{self.prefix}_"):
                if name not in self._kept:
                    self._maintenance.drop(name)
        self._maintenance.close()

    def is_connected(self) -> bool:
        """Whether this worker's connection, and with it its lock, is still there."""
        return self._maintenance.is_alive()

    def next_name(self) -> str:
        """A name that is this worker's own, for a database that goes with it."""
        self._count += 1
        return f"{self.prefix}_{self._count}"

    def create_empty(self) -> str:
        """Make a database with nothing in it, for this worker; returns its name."""
        name = self.next_name()
        self._maintenance.create(name)
        return name

    def clone(self, template: str) -> str:
        """Make a copy of the database `template`, which nobody may be connected to; returns its name."""
        name = self.next_name()
        self._maintenance.clone(template, name)
        return name

    def renew(self, name: str) -> None:
        """Make a worker's database again, since something was committed there."""
        self._maintenance.drop(name)
        self._maintenance.clone(self.source, name)

    def drop(self, name: str) -> None:
        """Drop a database of the harness, whoever is connected to it."""
        self._maintenance.drop(name)

    def keep(self, name: str) -> None:
        """Leave a database there when this worker ends; the next run sweeps it."""
        self._kept.add(name)

    @contextmanager
    def template(self, name: str, *, rebuild: bool = False) -> Iterator[bool]:
        """Hold the lock on a template database and make it, empty, if it is not there; yields whether it has to be
        built.

        It is sealed when the block ends, and dropped if the block fails: a template database is whole, or it is not
        there.

        Args:
            rebuild: make it again, unless this run has done so already.
        """
        self._maintenance.lock(name)
        try:
            rows = self._maintenance.rows(TEMPLATE, name)
            is_sealed, comment = rows[0] if rows else (False, None)
            is_of_this_run = comment is not None and comment.endswith(f"built by {self._run_id}")
            if is_sealed and (is_of_this_run or not rebuild):
                yield False
                if not is_of_this_run:
                    self._mark_as_used(name)
                return
            if rows:
                self._maintenance.drop(name)
            self._maintenance.create(name)
            try:
                yield True
            except BaseException:
                self._maintenance.drop(name)
                raise
            self._maintenance.run("ALTER DATABASE {} IS_TEMPLATE true ALLOW_CONNECTIONS false", name)
            self._mark_as_used(name, f", built by {self._run_id}")
        finally:
            self._maintenance.unlock(name)

    def sweep(self) -> None:
        """Drop the databases of runs that are over, and the template databases that no run has used for a week."""
        for (name,) in self._maintenance.rows(NAMES, PREFIX):
            lock = name if name.startswith(TEMPLATE_PREFIX) else "_".join(name.split("_")[:3])
            if lock != self.prefix:
                with self._maintenance.locked_if_free(lock) as is_free:
                    if is_free and self._is_over(name):
                        self._maintenance.drop(name)

    def _is_over(self, name: str) -> bool:
        """Whether nobody will use a database any more; asked under its lock, since it may have changed."""
        rows = self._maintenance.rows(TEMPLATE, name)
        if not rows or not name.startswith(TEMPLATE_PREFIX):
            return bool(rows)
        _, comment = rows[0]
        # Without a word it was never sealed; whoever builds one holds its lock.
        return comment is None or comment < f"last used {_today() - WEEK}"

    def _mark_as_used(self, name: str, more: str = "") -> None:
        self._maintenance.run("COMMENT ON DATABASE {} IS " + f"'last used {_today()}{more}'", name)


def _today() -> date:
    return datetime.now(UTC).date()
