"""Records what each revision does: the schema after its upgrade and its downgrade, and the statements that it sends."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from alembic.script import Script
from sqlalchemy import Connection, Engine, event

from ..database.databases import WorkerDatabases
from ..database.migrations import Migrations
from ..postgres.server import Server
from .catalog import Catalog, Difference, catalog, catalog_by, differences

# How many of the newest downgrades are compared: each needs two catalogs, of 8 ms.
NEWEST = 20

# The beginning of a statement that deletes data.
DESTRUCTIVE = re.compile(
    r"\s*(DROP\s+TABLE|TRUNCATE|DELETE\s+FROM(?!\s+\S*alembic_version)|ALTER\s+TABLE.*?\sDROP\s+COLUMN)", re.I | re.S
)

# The file of each table, which changes when the table is rewritten.
FILES = "SELECT oid, relfilenode FROM pg_class WHERE relkind IN ('r', 'm') AND oid >= 16384"

Heads = frozenset[str]


@dataclass
class MigrationHistory:
    """Records the upgrades and downgrades of one database.

    Args:
        migrations: the project's migrations.
        database: the name of an empty database.

    Attributes:
        statements: the statements of each upgrade, by revision, in order.
        leftovers: what a downgrade has left behind (`+`) or removed too much (`-`), by revision.
        downgraded: the revisions whose downgrade has run, in order.
        compared: those of them whose schema after the downgrade was compared.
        rewrites: the revisions whose upgrade has rewritten an existing table.
    """

    migrations: Migrations
    database: str
    statements: dict[str, list[str]] = field(default_factory=dict)
    leftovers: dict[str, list[Difference]] = field(default_factory=dict)
    downgraded: list[str] = field(default_factory=list)
    compared: set[str] = field(default_factory=set)
    rewrites: set[str] = field(default_factory=set)
    _schemas: dict[Heads, Catalog] = field(default_factory=dict)
    _files: dict[int, int] = field(default_factory=dict)
    _sent: list[str] = field(default_factory=list)

    @cached_property
    def revisions(self) -> list[Script]:
        """All revisions, newest first."""
        return list(self.migrations.script.walk_revisions())

    @property
    def irreversible(self) -> str | None:
        """The newest revision that is declared irreversible."""
        return next((script.revision for script in self.revisions if reason(script, "irreversible")), None)

    @property
    def next_downgrade(self) -> str:
        """The revision whose downgrade is the next one to run."""
        return next((script.revision for script in self.revisions if script.revision not in self.downgraded), "base")

    def file(self, revision: str) -> Path:
        """The file of a revision."""
        return Path(next(script.path for script in self.revisions if script.revision == revision))

    def up(self, empty: Catalog) -> None:
        """Upgrade to head; `empty` is the catalog before. Raises `MigrationError`."""
        self._schemas[frozenset()] = empty
        event.listen(Engine, "before_cursor_execute", self._record)
        try:
            self.migrations.upgrade(self.database, watch=self._after_upgrade)
        finally:
            event.remove(Engine, "before_cursor_execute", self._record)

    def down(self) -> None:
        """Downgrade to base, or to the newest irreversible revision; raises `MigrationError`."""
        self.migrations.downgrade(self.database, self.irreversible or "base", watch=self._after_downgrade)

    def _record(self, connection: object, cursor: object, statement: str, *rest: object) -> None:
        self._sent.append(statement)

    def _after_upgrade(self, *, ctx: Any, step: Any, heads: set[str], run_args: object) -> None:
        self.statements[step.up_revision_id] = list(self._sent)
        if len(self.statements) >= len(self.revisions) - NEWEST:
            self._schemas[frozenset(heads)] = catalog_by(sender(ctx.connection))
        files = dict(sender(ctx.connection)(FILES).all())
        if any(files.get(table, file) != file for table, file in self._files.items()):
            self.rewrites.add(step.up_revision_id)
        self._files = files
        self._sent.clear()

    def _after_downgrade(self, *, ctx: Any, step: Any, heads: set[str], run_args: object) -> None:
        self.downgraded.append(step.up_revision_id)
        before = self._schemas.get(frozenset(heads))
        if before is None:
            return
        self.compared.add(step.up_revision_id)
        # What a newer downgrade has left behind is not reported again.
        reported = {difference for found in self.leftovers.values() for difference in found}
        found = differences(before, catalog_by(sender(ctx.connection)))
        if new := [difference for difference in found if difference not in reported]:
            self.leftovers[step.up_revision_id] = new


def sender(connection: Connection) -> Callable[[str], Any]:
    """Sends a query as it is, by any driver: psycopg and psycopg2 read `%` as the start of a parameter."""
    has_percent = connection.dialect.paramstyle in ("format", "pyformat")
    return lambda query: connection.exec_driver_sql(query.replace("%", "%%") if has_percent else query)


def reason(script: Script, name: str) -> str | None:
    """The reason that a revision states for `name`, as in `irreversible = "the old prices are deleted"`; or None."""
    text: str | None = getattr(script.module, name, None)
    return text


def destructive_statements(statements: list[str]) -> list[str]:
    """The statements that delete data, a line each."""
    return [" ".join(statement.split()) for statement in statements if DESTRUCTIVE.match(statement)]


@pytest.fixture(scope="session")
def migration_history(
    _migrations: Migrations, _server: Server, _databases: WorkerDatabases
) -> Iterator[MigrationHistory]:
    """A database that was upgraded to head, and what each revision did."""
    history = MigrationHistory(_migrations, _databases.create_empty())
    with _server.connect(history.database) as connection:
        empty = catalog(connection)
    history.up(empty)
    yield history
    _databases.drop(history.database)
