"""The schema that the models state, beside the one that the migrations make: both by PostgreSQL's own catalog.

Alembic's comparison says what is missing in the words of a migration, and looks at less: not at the expression of a
CHECK, the predicate of an index, the name of a primary key, or at a trigger, a function or a sequence.
"""

from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import Any

from psycopg import Connection, sql

from .catalog import Catalog, catalog, differences

EXTENSIONS = "SELECT extname FROM pg_extension WHERE extname <> 'plpgsql'"
SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"


def prepare(empty: Connection[Any], migrated: Connection[Any]) -> None:
    """Give an empty database what `create_all` takes for granted: the extensions, and the schemas."""
    for (name,) in migrated.execute(SCHEMAS):
        empty.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(name)))
    for (name,) in migrated.execute(EXTENSIONS):
        empty.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(name)))


def drift_between(of_models: Connection[Any], migrated: Connection[Any], ignored: Collection[str]) -> list[str]:
    """What only the models have (`-`), and what only the migrations make (`+`); both, if they make it otherwise."""
    stated, made = catalog(of_models), catalog(migrated)
    return differences(stated, _without(made, stated, ignored))


def _without(made: Catalog, stated: Catalog, patterns: Collection[str]) -> Catalog:
    """Without what is expected to be there; what the models state too has to be as they state it."""
    return {
        name: definition
        for name, definition in made.items()
        if name in stated or not any(fnmatchcase(name, pattern) for pattern in patterns)
    }
