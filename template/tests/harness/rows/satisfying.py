"""Combinations of values that satisfy the CHECKs of a table, found by PostgreSQL."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import psycopg
from psycopg import Connection, sql

from .attempt import attempt
from .candidates import candidates
from .tables import Check, Column, Table
from .types import Type

# So many combinations PostgreSQL tries, and so many it returns.
TRIED, RETURNED = 20_000, 400

Row = dict[int, str | None]
Known = Callable[[int], list[str] | None]


def satisfying(
    connection: Connection[Any], table: Table, more: Iterable[Check], numbers: Sequence[int], known: Known
) -> list[list[Row]]:
    """Values of the columns that CHECKs name, for each group of columns that share a CHECK.

    Args:
        more: CHECKs that the table is to have later.
        numbers: of the rows, for values that differ from those of other rows.
        known: the only values that a column can have, such as those of another table; or None.

    Returns:
        An empty list for a group for which nothing is found. The last of each list has most NULLs.
    """
    groups = _groups([*table.checks, *more, *_of_domains(table)])
    return [_solutions(connection, table, columns, checks, numbers, known) for columns, checks in groups]


def allow_domains(connection: Connection[Any], tables: Iterable[Table], numbers: Sequence[int]) -> None:
    """Find values that the checks of each domain allow, also of a domain that an array or a composite type has."""
    for domain in {id(type_): type_ for table in tables for type_ in _domains(table)}.values():
        column = Column(1, "value", domain, -1, False, False, None, None)
        table = Table(0, domain.sql, domain.sql, domain.sql, {1: column})
        [*_, (columns, checks)] = _groups(_of_domains(table))
        found = _solutions(connection, table, columns, checks, numbers, lambda number: None)
        domain.allowed = [text for row in found if (text := row[1]) is not None]


def _domains(table: Table) -> Iterator[Type]:
    found = [column.type for column in table.columns.values()]
    while found:
        type_ = found.pop()
        if type_.kind == "d" and type_.checks:
            yield type_
        found += [part for part in (type_.base, *(part for part, _ in type_.fields)) if part is not None]


def _of_domains(table: Table) -> Iterator[Check]:
    for column in table.columns.values():
        type_: Type | None = column.type
        while type_ is not None and type_.kind == "d":
            quoted = '"' + column.name.replace('"', '""') + '"'
            for expression in type_.checks:
                yield Check((column.number,), quoted.join(re.split(r"\bVALUE\b", expression)))
            type_ = type_.base


def _groups(checks: Iterable[Check]) -> list[tuple[set[int], list[Check]]]:
    groups: list[tuple[set[int], list[Check]]] = []
    for check in checks:
        if not check.columns:
            continue
        touched = [group for group in groups if group[0] & set(check.columns)]
        joined = set(check.columns).union(*(columns for columns, _ in touched))
        groups = [group for group in groups if group not in touched]
        groups.append((joined, [*(each for _, found in touched for each in found), check]))
    return groups


def _solutions(
    connection: Connection[Any],
    table: Table,
    group: set[int],
    checks: list[Check],
    numbers: Sequence[int],
    known: Known,
) -> list[Row]:
    columns = [column for column in table.columns.values() if column.number in group and not column.is_generated]
    if not columns:
        return []
    expression = " ".join(check.expression for check in checks)
    each = max(2, int(TRIED ** (1 / len(columns))))
    lists, names, places = [], [], []
    for number, column in enumerate(columns):
        values: list[str | None] = [*(known(column.number) or ())]
        if not values:
            label = f"{table.bare_name}.{column.name}"
            values += candidates(column.type, column.modifier, label, numbers, expression)
        values = values[: each - column.is_nullable] + ([None] if column.is_nullable else [])
        if not values:
            return []
        cast = sql.SQL(column.type.plain.cast)
        rows = [sql.SQL("({}::{}, {})").format(sql.Literal(text), cast, n) for n, text in enumerate(values)]
        name, place = sql.Identifier(column.name), sql.Identifier(f"_n{number}")
        alias = sql.SQL("(VALUES {}) AS {} ({}, {})")
        lists.append(alias.format(sql.SQL(", ").join(rows), sql.Identifier(f"_{number}"), name, place))
        names.append(sql.SQL("{}::text AS {}").format(name, sql.Identifier(f"_v{number}")))
        places.append(place)
    conditions = [sql.SQL("({}) IS NOT FALSE").format(sql.SQL(check.expression)) for check in checks]
    query = sql.SQL(
        "WITH found AS MATERIALIZED (SELECT {values}, num_nulls({columns}) AS nulls, greatest({places}) AS place "
        "FROM {lists} WHERE {conditions}) (SELECT * FROM found ORDER BY nulls, place LIMIT {limit}) "
        "UNION ALL (SELECT * FROM found ORDER BY nulls DESC LIMIT 1)"
    ).format(
        values=sql.SQL(", ").join(names),
        columns=sql.SQL(", ").join(sql.Identifier(column.name) for column in columns),
        places=sql.SQL(", ").join(places),
        lists=sql.SQL(" CROSS JOIN ").join(lists),
        conditions=sql.SQL(" AND ").join(conditions),
        limit=RETURNED,
    )
    try:
        found = attempt(connection, query)
    except psycopg.Error:
        # Such as an expression with a function that refuses a value.
        return []
    return [{column.number: text for column, text in zip(columns, row[:-2], strict=True)} for row in found]
