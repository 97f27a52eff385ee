"""Creates the models' schema in an empty database, for comparison with the migrated database.

`create_all` may fail though the project is right: an index may use a function that only migrations create. Then each
statement is run on its own, with the functions, types and sequences of the migrations; what still fails is left out.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection, Error, sql
from sqlalchemy import MetaData, create_mock_engine
from sqlalchemy.exc import CompileError, DBAPIError
from sqlalchemy.schema import AddConstraint, CreateIndex, CreateTable

from ..postgres.settings import first_line
from .catalog import Rows, catalog, rows_of, split
from .creation import creation

EXTENSIONS = "SELECT extname FROM pg_extension WHERE extname <> 'plpgsql'"
SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
# What a statement of the models may need.
NEEDED = ("function", "type", "relation")


@dataclass
class CreatedModels:
    """The database of the models.

    Attributes:
        rows: runs a query in it.
        left_out: objects that could not be created, by their name in the catalog, with the reason.
        copied: objects that were copied from the migrated database, since no model creates them.
    """

    rows: Rows
    left_out: dict[str, str] = field(default_factory=dict)
    copied: set[str] = field(default_factory=set)


@dataclass
class Statement:
    """A statement to run.

    Args:
        name: the object that it creates, as the catalog names it; "" if that is not known.
        copies: whether the object is copied from the migrated database.
    """

    text: str
    name: str = ""
    copies: bool = False
    error: str = ""


def create_models(
    create_all: Callable[[MetaData], None],
    metadata: Sequence[MetaData],
    empty: Connection[Any],
    migrated: Connection[Any],
) -> CreatedModels:
    """Create the models' tables, and what `alembic_utils` knows of.

    Args:
        create_all: creates the tables of one metadata in the empty database.
        metadata: of all models.
    """
    models = CreatedModels(rows_of(empty))
    _prepare(metadata, empty, migrated)
    pending = list(_of_alembic_utils())
    try:
        for each in metadata:
            create_all(each)
    except DBAPIError:
        pending = [*_of_metadata(metadata, empty), *pending]
    left = _run(pending, empty)
    if left:
        existing = catalog(empty)
        of_migrations = catalog(migrated)
        copies = [
            Statement(text, name, copies=True)
            for name in of_migrations.keys() - existing.keys()
            if split(name)[0] in NEEDED and "table" not in of_migrations[name].partition(" AS ")[0]
            for text in creation(name, of_migrations)[:1]
        ]
        left = [statement for statement in _run([*copies, *left], empty) if not statement.copies]
        models.copied = {copy.name for copy in copies}
    models.left_out = {statement.name or first_line_of(statement.text): statement.error for statement in left}
    return models


def first_line_of(text: str) -> str:
    """The beginning of a statement, for messages."""
    return text.strip().partition("\n")[0][:100]


def _prepare(metadata: Sequence[MetaData], empty: Connection[Any], migrated: Connection[Any]) -> None:
    """Create the schemas and extensions that `create_all` needs."""
    schemas = {name for (name,) in migrated.execute(SCHEMAS)}
    schemas |= {table.schema for each in metadata for table in each.tables.values() if table.schema}
    for name in sorted(schemas):
        empty.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(name)))
    for (name,) in migrated.execute(EXTENSIONS):
        empty.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS {} CASCADE").format(sql.Identifier(name)))


def _run(pending: list[Statement], empty: Connection[Any]) -> list[Statement]:
    """Run statements in any order that works; returns those that fail."""
    while True:
        left = []
        for statement in pending:
            try:
                if statement.text:
                    empty.execute(statement.text.encode())
                else:
                    left.append(statement)
            except Error as error:
                statement.error = first_line(error)
                left.append(statement)
        if len(left) in (0, len(pending)):
            return left
        pending = left


def _of_metadata(metadata: Sequence[MetaData], empty: Connection[Any]) -> Iterator[Statement]:
    """The statements of `create_all`."""
    found: list[Statement] = []

    def add(element: Any, *arguments: object, **options: object) -> None:
        try:
            text = str(element if isinstance(element, str) else element.compile(dialect=engine.dialect))
        except CompileError as error:
            found.append(Statement("", _name(element, empty), error=str(error)))
        else:
            found.append(Statement(text, _name(element, empty)))

    # With this paramstyle, a "%" is not doubled.
    engine = create_mock_engine("postgresql+psycopg://", add, paramstyle="named")
    for each in metadata:
        each.create_all(engine, checkfirst=False)
    return iter(found)


def _name(element: Any, empty: Connection[Any]) -> str:
    match element:
        case CreateTable():
            kind, names = "relation", [element.element.schema, element.element.name]
        case CreateIndex():
            table = element.element.table
            kind, names = "index", [table.schema if table is not None else None, element.element.name]
        case AddConstraint():
            table = element.element.table
            kind, names = "constraint", [table.schema, table.name, str(element.element.name)]
        case _:
            return ""
    names[0] = names[0] or "public"
    quoted = empty.execute("SELECT string_agg(quote_ident(name), '.') FROM unnest(%s::text[]) name", (names,))
    [(name,)] = quoted.fetchall()
    return f"{kind} {name}"


def _of_alembic_utils() -> Iterator[Statement]:
    """What env.py has registered: functions, views, triggers, policies, grants."""
    if registering := sys.modules.get("alembic_utils.replaceable_entity"):
        for entity in registering.registry.entities():
            yield Statement(entity.to_sql_statement_create().text.replace("\\:", ":"))
