"""Databases on the test server: made, cloned, dropped, and swept; only those that `marked` says are the harness's.

A run holds an advisory lock for each of its workers, in database `postgres` (advisory locks are per database). A
database whose worker holds no lock belongs to a run that is over, and the next run of the same role on that server
drops it. Template databases say when they were last used, and stay for a week. What a run that was killed between
CREATE DATABASE and COMMENT leaves has no mark, and stays until somebody drops it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from sqlalchemy import URL

from ..postgres.server import Server
from ..postgres.settings import first_line
from .maintenance import Maintenance
from .ownership import PREFIX, NotOursError, last_used, lock_of, passed_over


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
            for found in self._maintenance.begin_with(self.prefix):
                # By its lock: gw1 would otherwise take what belongs to gw10.
                if lock_of(found.name) == self.prefix and not found.why_not_ours and found.name not in self._kept:
                    self._maintenance.drop(found.name)
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

        Raises:
            NotOursError: there is one that is not the harness's.
        """
        self._maintenance.lock(name)
        try:
            found = self._maintenance.find(name)
            if found is not None and found.why_not_ours:
                raise NotOursError(found)
            is_of_this_run = found is not None and found.comment.endswith(f"built by {self._run_id}")
            if found is not None and found.is_sealed and (is_of_this_run or not rebuild):
                yield False
                if not is_of_this_run:
                    self._mark_as_used(name)
                return
            if found is not None:
                self._maintenance.drop(name)
            # Renamed when it has its mark: without one, the name would be lost to all runs of this schema.
            self._maintenance.run("ALTER DATABASE {} RENAME TO {}", self.create_empty(), name)
            try:
                yield True
            except BaseException:
                self._maintenance.drop(name)
                raise
            self._maintenance.run("ALTER DATABASE {} IS_TEMPLATE true ALLOW_CONNECTIONS false", name)
            self._mark_as_used(name, f", built by {self._run_id}")
        finally:
            self._maintenance.unlock(name)

    def sweep(self) -> str | None:
        """Drop the databases of runs that are over, and the template databases that no run has used for a week.

        Returns:
            A line on those that it had to leave, if any. The first worker of a run sweeps for all.
        """
        if not self._maintenance.try_lock(f"{PREFIX}{self._run_id}_sweep"):
            return None
        left, refused = [], []
        for name in [found.name for found in self._maintenance.begin_with(PREFIX)]:
            lock = lock_of(name)
            if lock is None or lock == self.prefix:
                continue
            with self._maintenance.locked_if_free(lock) as is_free:
                # Under its lock, since it may have changed.
                found = self._maintenance.find(name) if is_free else None
                if found is None or not found.is_over():
                    continue
                if found.why_not_ours:
                    left.append(found)
                elif words := self._refusal_to_drop(name):
                    refused.append(words)
        return passed_over(left, refused)

    def _refusal_to_drop(self, name: str) -> str | None:
        """Drop a database; returns the server's words if it refuses."""
        try:
            self._maintenance.drop(name)
        except psycopg.Error as error:
            if not self.is_connected():
                raise
            return first_line(error)
        return None

    def _mark_as_used(self, name: str, more: str = "") -> None:
        self._maintenance.run("COMMENT ON DATABASE {} IS " + f"'{last_used()}{more}'", name)
