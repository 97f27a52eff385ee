"""Compares the schema of the models with the schema of the migrations, by PostgreSQL's catalog.

Alembic's comparison reports missing operations, but does not compare the expression of a CHECK, the predicate of an
index, the name of a primary key, triggers, functions or sequences.
"""

from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import Any

from psycopg import Connection, sql

from .catalog import Difference, catalog, differences

EXTENSIONS = "SELECT extname FROM pg_extension WHERE extname <> 'plpgsql'"
SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"


def prepare(empty: Connection[Any], migrated: Connection[Any]) -> None:
    """Create the extensions and schemas of the migrated database in the empty one: `create_all` needs them."""
    for (name,) in migrated.execute(SCHEMAS):
        empty.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(name)))
    for (name,) in migrated.execute(EXTENSIONS):
        empty.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(name)))


def drift_between(
    from_models: Connection[Any], migrated: Connection[Any], ignored: Collection[str]
) -> tuple[list[Difference], set[str]]:
    """The objects that only the models (`-`) or only the migrations have (`+`), or that differ; and the patterns of
    `ignored` that match an object that only the migrations have."""
    expected, actual = catalog(from_models), catalog(migrated)
    matched = {
        name: {pattern for pattern in ignored if fnmatchcase(name, pattern)} for name in actual.keys() - expected
    }
    kept = {name: definition for name, definition in actual.items() if not matched.get(name)}
    return differences(expected, kept), set().union(*matched.values())
