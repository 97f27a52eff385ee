"""What each revision does: the schema after it, on the way up and on the way down, and the statements that it sends."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pytest
from alembic.script import Script
from sqlalchemy import Engine, event

from ..database.databases import Databases
from ..database.migrations import Migrations
from ..postgres.server import Server
from .catalog import Catalog, catalog, catalog_by, differences

# How many of the newest revisions are taken back one at a time: a catalog takes 8 ms, and each takes two.
NEWEST = 20

# What a statement begins with, if rows go with it.
DESTROYS = re.compile(
    r"\s*(DROP\s+TABLE|TRUNCATE|DELETE\s+FROM(?!\s+\S*alembic_version)|ALTER\s+TABLE.*?\sDROP\s+COLUMN)", re.I | re.S
)

# Where each table is stored: a rewrite is another file.
FILES = "SELECT oid, relfilenode FROM pg_class WHERE relkind IN ('r', 'm') AND oid >= 16384"

Heads = frozenset[str]


@dataclass
class Steps:
    """Watches the revisions of one database as they are applied and taken back.

    Args:
        migrations: the project's.
        database: the name of an empty database.

    Attributes:
        statements: what each upgrade sent, by its revision, in their order.
        leftovers: what a downgrade has left behind (`+`) or taken too much (`-`), by its revision.
        rewrites: the revisions whose upgrade has written a table anew that was there before.
    """

    migrations: Migrations
    database: str
    statements: dict[str, list[str]] = field(default_factory=dict)
    leftovers: dict[str, list[str]] = field(default_factory=dict)
    rewrites: set[str] = field(default_factory=set)
    _schemas: dict[Heads, Catalog] = field(default_factory=dict)
    _files: dict[int, int] = field(default_factory=dict)
    _sent: list[str] = field(default_factory=list)

    @cached_property
    def revisions(self) -> list[Script]:
        """All revisions, the newest first."""
        return list(self.migrations.script.walk_revisions())

    @property
    def irreversible(self) -> str | None:
        """The newest revision that says it cannot be taken back."""
        return next((script.revision for script in self.revisions if reason(script, "irreversible")), None)

    def up(self, empty: Catalog) -> None:
        """Upgrade from nothing to head; raises `MigrationError`."""
        self._schemas[frozenset()] = empty
        event.listen(Engine, "before_cursor_execute", self._remember)
        try:
            self.migrations.upgrade(self.database, watch=self._after_upgrade)
        finally:
            event.remove(Engine, "before_cursor_execute", self._remember)

    def down(self) -> None:
        """Downgrade to base, or as far as that is possible; raises `MigrationError`."""
        self.migrations.downgrade(self.database, self.irreversible or "base", watch=self._after_downgrade)

    def _remember(self, connection: object, cursor: object, statement: str, *rest: object) -> None:
        self._sent.append(statement)

    def _after_upgrade(self, *, ctx: Any, step: Any, heads: set[str], run_args: object) -> None:
        self.statements[step.up_revision_id] = list(self._sent)
        if len(self.statements) >= len(self.revisions) - NEWEST:
            self._schemas[frozenset(heads)] = catalog_by(ctx.connection.exec_driver_sql)
        files = dict(ctx.connection.exec_driver_sql(FILES).all())
        if any(files.get(table, file) != file for table, file in self._files.items()):
            self.rewrites.add(step.up_revision_id)
        self._files = files
        self._sent.clear()

    def _after_downgrade(self, *, ctx: Any, step: Any, heads: set[str], run_args: object) -> None:
        before = self._schemas.get(frozenset(heads))
        if before is not None and (found := differences(before, catalog_by(ctx.connection.exec_driver_sql))):
            self.leftovers[step.up_revision_id] = found


def reason(script: Script, name: str) -> str | None:
    """What a revision says of itself, in a line such as `irreversible = "the old prices are gone"`."""
    said: str | None = getattr(script.module, name, None)
    return said


def destructive(statements: list[str]) -> list[str]:
    """Those that take rows away, a line each."""
    return [" ".join(statement.split()) for statement in statements if DESTROYS.match(statement)]


@pytest.fixture(scope="session")
def migration_history(migrations: Migrations, postgres_server: Server, _databases: Databases) -> Iterator[Steps]:
    """A database that was taken to head a revision at a time, and what each did on the way."""
    steps = Steps(migrations, _databases.create_empty())
    with postgres_server.connect(steps.database) as connection:
        empty = catalog(connection)
    steps.up(empty)
    assert steps.statements or not steps.revisions, (
        "migrations/env.py does not call back: its context.configure() has to be given "
        'on_version_apply=context.config.attributes.get("on_version_apply")'
    )
    yield steps
    _databases.drop(steps.database)
