"""Template databases: built once, sealed, and cloned by every run with the same schema.

A run that builds one, or looks for one, holds its lock. A database that is not sealed was left by a run that was killed
while it built it; the next run drops it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .maintenance import MaintenanceConnection
from .ownership import NotOwnedError, last_used


@dataclass
class Template:
    """A template database whose lock is held.

    Attributes:
        name: the block that builds it may change it; the database is renamed.
        is_empty: whether it must be built.
    """

    name: str
    is_empty: bool


class TemplateDatabases:
    """The template databases of a server, for one worker of a run.

    Args:
        maintenance: the worker's connection.
        run_id: the run, of 8 characters.
        create_empty: creates an empty database of the worker, and returns its name.
    """

    def __init__(self, maintenance: MaintenanceConnection, run_id: str, create_empty: Callable[[], str]) -> None:
        self._maintenance = maintenance
        self._of_this_run = f"built by {run_id}"
        self._create_empty = create_empty

    @contextmanager
    def hold(self, name: str, *, rebuild: bool = False) -> Iterator[Template]:
        """Lock a template database, and create it empty if it does not exist, for the block to build it.

        At the end of the block, it is sealed; if the block raises, it is dropped.

        Args:
            rebuild: drop and create it, unless this run has built it.

        Raises:
            NotOwnedError: a database of this name exists and is not the harness's.
        """
        with self._maintenance.locked(name):
            template = Template(name, is_empty=not self._can_be_used(name, rebuild=rebuild))
            if not template.is_empty:
                yield template
                return
            # Renamed after it has its mark: a database of this name without one would stop every run of this schema.
            self._rename(self._create_empty(), name)
            try:
                yield template
            except BaseException:
                self._maintenance.drop(name)
                raise
            if template.name == name:
                self._seal(name)
                return
            with self._maintenance.locked(template.name):
                if self._can_be_used(template.name, rebuild=rebuild):
                    # Another run, or worker, has built it.
                    self._maintenance.drop(name)
                else:
                    self._rename(name, template.name)
                    self._seal(template.name)

    def _can_be_used(self, name: str, *, rebuild: bool) -> bool:
        """Whether a template database is there and complete; otherwise there is none afterwards."""
        found = self._maintenance.find(name)
        if found is None:
            return False
        if found.not_owned_reason:
            raise NotOwnedError(found)
        is_of_this_run = found.comment.endswith(self._of_this_run)
        if not found.is_sealed or (rebuild and not is_of_this_run):
            self._maintenance.drop(name)
            return False
        if not is_of_this_run:
            self._mark_as_used(name)
        return True

    def _seal(self, name: str) -> None:
        self._maintenance.run("ALTER DATABASE {} IS_TEMPLATE true ALLOW_CONNECTIONS false", name)
        self._mark_as_used(name, f", {self._of_this_run}")

    def _rename(self, name: str, new: str) -> None:
        self._maintenance.run("ALTER DATABASE {} RENAME TO {}", name, new)

    def _mark_as_used(self, name: str, more: str = "") -> None:
        self._maintenance.run("COMMENT ON DATABASE {} IS " + f"'{last_used()}{more}'", name)
