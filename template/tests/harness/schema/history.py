"""Records what each revision does: the schema after its upgrade and its downgrade, and the statements that it sends."""

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from alembic.script import Script
from psycopg.errors import ObjectInUse
from sqlalchemy import Connection, Engine, event

from ..database.databases import WorkerDatabases
from ..database.migrations import Migrations
from ..postgres.server import Server
from .catalog import Catalog, Difference, catalog, catalog_by, differences, sender
from .revisions import parents, reason

# How many of the newest downgrades are compared: each needs two catalogs, of 8 ms.
NEWEST = 20

# The file of each table, which changes when the table is rewritten, and its name. A partitioned table has no file.
FILES = """
    SELECT oid, relfilenode, format('%s.%I', relnamespace::regnamespace, relname) FROM pg_class
    WHERE relkind IN ('r', 'p', 'm') AND oid >= 16384
"""

# The columns that a valid CHECK keeps from being NULL: SET NOT NULL does not read their table.
NEVER_NULL = """
    SELECT format('%s.%I', relnamespace::regnamespace, relname), attname FROM pg_constraint
    JOIN pg_class t ON t.oid = conrelid JOIN pg_attribute ON attrelid = conrelid AND conkey = ARRAY[attnum]
    WHERE contype = 'c' AND convalidated AND pg_get_expr(conbin, conrelid) = format('(%I IS NOT NULL)', attname)
"""


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
        created: the tables that each upgrade has created, by revision: `public.users`.
        autocommitted: the statements of each upgrade in an `autocommit_block()`.
        never_null: the tables and columns that had a valid CHECK against NULL before each upgrade, by revision.
        before_new: a copy of the database before the first new revision; None without tables.
    """

    migrations: Migrations
    database: str
    statements: dict[str, list[str]] = field(default_factory=dict)
    leftovers: dict[str, list[Difference]] = field(default_factory=dict)
    downgraded: list[str] = field(default_factory=list)
    compared: set[str] = field(default_factory=set)
    rewrites: set[str] = field(default_factory=set)
    created: dict[str, set[str]] = field(default_factory=dict)
    autocommitted: dict[str, set[str]] = field(default_factory=dict)
    never_null: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    before_new: str | None = None
    _never_null: set[tuple[str, str]] = field(default_factory=set)
    _schemas: dict[frozenset[str], Catalog] = field(default_factory=dict)
    _files: dict[int, int] = field(default_factory=dict)
    _sent: list[str] = field(default_factory=list)
    _autocommitted: set[str] = field(default_factory=set)

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

    def up(
        self, empty: Catalog, new: Collection[str] = (), copy: Callable[[str], str | None] = lambda name: None
    ) -> None:
        """Upgrade to head; raises `MigrationError`.

        Args:
            empty: the catalog before.
            new: the new revisions.
            copy: copies the database before the first of them, and returns the name of the copy.
        """
        self._schemas[frozenset()] = empty
        event.listen(Engine, "before_cursor_execute", self._record)
        try:
            for revision in self.heads(self.settled(new)):
                self.migrations.upgrade(self.database, revision, self._after_upgrade)
            if self._files:
                self.before_new = copy(self.database)
            self.migrations.upgrade(self.database, watch=self._after_upgrade)
        finally:
            event.remove(Engine, "before_cursor_execute", self._record)

    def down(self) -> None:
        """Downgrade to base, or to the newest irreversible revision; raises `MigrationError`."""
        self.migrations.downgrade(self.database, self.irreversible or "base", watch=self._after_downgrade)

    def settled(self, new: Collection[str]) -> list[str]:
        """The revisions that are not new and need no new one, the oldest first."""
        found: list[str] = []
        for script in reversed(self.revisions):
            if script.revision not in new and set(parents(self.migrations, script)) <= set(found):
                found.append(script.revision)
        return found

    def heads(self, revisions: Collection[str]) -> list[str]:
        """Those that none of the others needs."""
        scripts = (script for script in self.revisions if script.revision in revisions)
        needed = {parent for script in scripts for parent in parents(self.migrations, script)}
        return [revision for revision in revisions if revision not in needed]

    def _record(self, connection: Connection, cursor: object, statement: str, *rest: object) -> None:
        self._sent.append(statement)
        if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
            self._autocommitted.add(statement)

    def _after_upgrade(self, *, ctx: Any, step: Any, heads: set[str], run_args: object) -> None:
        self.statements[step.up_revision_id] = list(self._sent)
        self.autocommitted[step.up_revision_id] = set(self._autocommitted)
        if len(self.statements) >= len(self.revisions) - NEWEST:
            self._schemas[frozenset(heads)] = catalog_by(sender(ctx.connection))
        self.never_null[step.up_revision_id] = self._never_null
        self._never_null = {(table, column) for table, column in sender(ctx.connection)(NEVER_NULL)}
        found = sender(ctx.connection)(FILES).all()
        files = {oid: file for oid, file, _ in found}
        self.created[step.up_revision_id] = {name for oid, _, name in found if oid not in self._files}
        if any(files.get(table, file) != file for table, file in self._files.items()):
            self.rewrites.add(step.up_revision_id)
        self._files = files
        self._sent.clear()
        self._autocommitted.clear()

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


def history_of(
    migrations: Migrations, server: Server, databases: WorkerDatabases, new: list[Script]
) -> MigrationHistory:
    """The history of all revisions, in a new database."""
    history = MigrationHistory(migrations, databases.create_empty())
    with server.connect(history.database) as connection:
        empty = catalog(connection)

    def copy(name: str) -> str | None:
        # env.py may have left its engine open.
        with suppress(ObjectInUse):
            return databases.clone(name)
        return None

    history.up(empty, {script.revision for script in new}, copy)
    return history


@pytest.fixture(scope="session")
def migration_history(
    _migrations: Migrations, _server: Server, _databases: WorkerDatabases, _new_revisions: list[Script]
) -> Iterator[MigrationHistory]:
    """A database that was upgraded to head, and what each revision did."""
    history = history_of(_migrations, _server, _databases, _new_revisions)
    yield history
    _databases.drop(history.database)
    if history.before_new is not None:
        _databases.drop(history.before_new)
