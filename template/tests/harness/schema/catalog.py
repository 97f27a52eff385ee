"""Reads a database's schema from PostgreSQL's catalog, as one definition per object or attribute, and compares two."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from psycopg import Connection

from .normal_form import normal_form
from .queries import QUERIES

Catalog = dict[str, str]
# Runs a query and returns its rows.
Rows = Callable[[str], Iterable[Any]]

IDENTIFIER = r'(?:"(?:[^"]|"")*"|[^".\s]+)'
NAME = re.compile(rf"{IDENTIFIER}(?:\.{IDENTIFIER})*")

# An attribute belongs to the object of this kind with the same name; a part, to the one whose name it begins with.
ATTRIBUTES = {
    "row security": "relation",
    "storage parameters": "relation",
    "replica identity": "relation",
    "not null": "column",
    "default": "column",
    "column options": "column",
}
PARTS = dict.fromkeys(("column", "constraint", "trigger", "policy", "rule"), "relation") | {"domain constraint": "type"}
# With spaces, so that the kind cannot be told by the first word.
OTHERS = ("default privileges", "text search configuration", "text search dictionary", "event trigger")
KINDS = sorted([*ATTRIBUTES, *PARTS, *OTHERS], key=len, reverse=True)
TABLE = {
    "index": re.compile(rf" ON (?:ONLY )?({NAME.pattern}) USING "),
    "statistics": re.compile(rf" FROM ({NAME.pattern})$"),
}


def catalog(connection: Connection[Any]) -> Catalog:
    """The definitions of all objects of the database, by kind and name (`column public.users.email`)."""
    return catalog_by(rows_of(connection))


def rows_of(connection: Connection[Any]) -> Rows:
    """A function that runs a query on a connection and returns its rows."""
    return lambda query: connection.execute(query.encode())


def catalog_by(rows: Rows) -> Catalog:
    """The same as `catalog`, with a function that runs a query and returns its rows."""
    return {f"{kind} {name}": definition or "" for query in QUERIES for kind, name, definition in rows(query)}


def split(name: str) -> tuple[str, str]:
    """The kind and the qualified name: ("column", "public.users.email")."""
    kind = next((kind for kind in KINDS if name.startswith(f"{kind} ")), name.partition(" ")[0])
    return kind, name.removeprefix(f"{kind} ")


def identifiers(name: str) -> list[str]:
    """The parts of a qualified name, as PostgreSQL quotes them."""
    return re.findall(IDENTIFIER, name)


def unquoted(name: str) -> tuple[str, ...]:
    """The parts of a qualified name, without quotes."""
    return tuple(part[1:-1].replace('""', '"') if part.startswith('"') else part for part in identifiers(name))


def parent(name: str, definition: str) -> str | None:
    """The object that an object or an attribute is part of: it is created and dropped with that."""
    kind, qualified = split(name)
    if kind in ATTRIBUTES:
        return f"{ATTRIBUTES[kind]} {qualified}"
    if kind in PARTS:
        return f"{PARTS[kind]} {'.'.join(identifiers(qualified)[:-1])}"
    if kind in TABLE and (found := TABLE[kind].search(definition)):
        return f"relation {found[1]}" if len(identifiers(found[1])) > 1 else f"relation public.{found[1]}"
    if kind == "grant":
        return qualified.removeprefix("on ").rpartition(" to ")[0]
    if kind == "comment":
        return _commented(qualified.removeprefix("on "))
    return None


def _commented(what: str) -> str:
    kind, _, name = what.partition(" ")
    if kind == "constraint":
        constraint, _, table = name.partition(" on ")
        return f"constraint {table}.{constraint}"
    if kind == "column":
        return what
    # "materialized view public.totals"
    return f"relation {NAME.findall(what)[-1]}"


@dataclass(frozen=True)
class Difference:
    """An object that only one schema has, or that differs; its text has a line for each definition.

    Args:
        name: the kind and the name of the object.
        expected: its definition in the first schema (`-`); None if there is no such object.
        actual: its definition in the second schema (`+`).
    """

    name: str
    expected: str | None
    actual: str | None

    def __str__(self) -> str:
        definitions = {"-": self.expected, "+": self.actual}
        return "\n".join(
            f"{sign} {self.name}: {text}" if text else f"{sign} {self.name}"
            for sign, text in definitions.items()
            if text is not None
        )

    def key(self, only_expected: str, only_actual: str, differs: str) -> str:
        """One of the words, and the name."""
        word = only_expected if self.actual is None else only_actual if self.expected is None else differs
        return f"{word} {self.name}"


def differences(expected: Mapping[str, str], actual: Mapping[str, str]) -> list[Difference]:
    """The objects that only `expected` has or only `actual`, or that differ, by name.

    Of an object that only one of them has, its parts and attributes are not listed.
    """
    return without_parts(all_differences(expected, actual))


def all_differences(expected: Mapping[str, str], actual: Mapping[str, str]) -> list[Difference]:
    """The same, with the parts and attributes."""
    return [
        Difference(name, one, other)
        for name in sorted(expected.keys() | actual.keys())
        if (one := expected.get(name)) != (other := actual.get(name)) and _normal(one) != _normal(other)
    ]


def without_parts(found: Sequence[Difference]) -> list[Difference]:
    """The differences without those that are part of another."""
    return list(dict.fromkeys(wholes(found).values()))


def wholes(found: Sequence[Difference]) -> dict[str, Difference]:
    """By the name of each difference: the missing object that it is part of, or the difference itself."""
    missing = {other.name: other for other in found if other.expected is None or other.actual is None}
    tops = {}
    for difference in found:
        top, name = difference, parent(difference.name, difference.expected or difference.actual or "")
        while name is not None:
            top, name = missing.get(name, top), parent(name, "")
        tops[difference.name] = top
    return tops


def _normal(definition: str | None) -> str | None:
    return None if definition is None else normal_form(definition)


def sender(connection: sa.Connection) -> Callable[[str], Any]:
    """Sends a query as it is, by any driver: psycopg and psycopg2 read `%` as the start of a parameter."""
    has_percent = connection.dialect.paramstyle in ("format", "pyformat")
    return lambda query: connection.exec_driver_sql(query.replace("%", "%%") if has_percent else query)
