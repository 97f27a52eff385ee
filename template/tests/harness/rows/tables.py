"""Reads from PostgreSQL's catalog what rows of each table need: types, constraints, unique columns, foreign keys.

Partitions are tables of their own here; a partitioned table has no rows itself.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from psycopg import Connection

from ..schema.table_queries import OWN
from .types import Type, types_of

# A version table of any name has this one column.
TABLES = f"""
    SELECT o.oid, format('%I.%I', nspname, relname), relname, pg_get_partition_constraintdef(o.oid),
        (SELECT format('%I.%I', s.nspname, r.relname) FROM pg_class r JOIN pg_namespace s ON s.oid = r.relnamespace
            WHERE r.oid = pg_partition_root(o.oid))
    FROM pg_class o JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind = 'r' AND relpersistence <> 't' AND {OWN} AND relname <> 'alembic_version' AND NOT (relnatts = 1
        AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = o.oid AND attname = 'version_num' AND attnum = 1))
    ORDER BY 2
"""
COLUMNS = """
    SELECT attrelid, attnum, attname, atttypid, atttypmod, attnotnull, attgenerated <> '',
        pg_get_expr(adbin, adrelid), CASE WHEN attidentity <> '' THEN
            pg_get_serial_sequence(format('%I.%I', nspname, relname), attname) END
    FROM pg_attribute JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relkind = 'r' AND attrelid >= 16384 AND attnum > 0 AND NOT attisdropped ORDER BY attrelid, attnum
"""
CHECKS = """
    SELECT conrelid, conkey, pg_get_expr(conbin, conrelid) FROM pg_constraint
    WHERE contype = 'c' AND conrelid <> 0 AND conkey IS NOT NULL ORDER BY conrelid, conname
"""
UNIQUE = """
    SELECT indrelid, (indkey::int2[])[0:indnkeyatts - 1], coalesce(pg_get_expr(indexprs, indrelid), '')
    FROM pg_index WHERE (indisunique OR indisexclusion) AND indrelid >= 16384
"""
# Not those that PostgreSQL adds for each partition of a referenced table.
FOREIGN_KEYS = """
    SELECT k.conrelid, k.conkey, k.confrelid, k.confkey, format('%I.%I', nspname, relname),
        (SELECT array_agg(quote_ident(attname) ORDER BY place) FROM unnest(k.confkey) WITH ORDINALITY AS key(num, place)
            JOIN pg_attribute ON attrelid = k.confrelid AND attnum = num)
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.confrelid JOIN pg_namespace n ON n.oid = relnamespace
    LEFT JOIN pg_constraint parent ON parent.oid = k.conparentid
    WHERE k.contype = 'f' AND parent.conrelid IS DISTINCT FROM k.conrelid ORDER BY k.conrelid, k.conname
"""
NEXTVAL = re.compile(r"nextval\('((?:[^']|'')+)'::regclass\)")


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        number: its number, which a rename keeps.
        default: its expression; None without one.
        sequence: the sequence of an identity column, or of a default `nextval(…)`.
    """

    number: int
    name: str
    type: Type
    modifier: int
    is_nullable: bool
    is_generated: bool
    default: str | None
    sequence: str | None

    @property
    def is_required(self) -> bool:
        """Whether an INSERT must name it."""
        return not (self.is_nullable or self.is_generated or self.sequence or self.default is not None)


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key: its columns, and the columns of the other table, whose names are quoted."""

    columns: tuple[int, ...]
    table: int
    other_columns: tuple[int, ...]
    name: str
    other_names: tuple[str, ...]


@dataclass(frozen=True)
class Check:
    """A CHECK, or the bounds of a partition: an expression, and the numbers of its columns."""

    columns: tuple[int, ...]
    expression: str


@dataclass(frozen=True)
class Table:
    """A table with rows of its own.

    Attributes:
        name: with its schema, quoted where PostgreSQL needs quotes.
        bare_name: without its schema.
        root: the name of the partitioned table that it is part of; otherwise `name`.
        unique: the numbers of columns whose values cannot be repeated, alone or with other columns.
    """

    oid: int
    name: str
    bare_name: str
    root: str
    columns: dict[int, Column] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    unique: set[int] = field(default_factory=set)
    foreign_keys: list[ForeignKey] = field(default_factory=list)

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """The columns by name."""
        return {column.name: column for column in self.columns.values()}

    def mentioned(self, expression: str) -> tuple[int, ...]:
        """The numbers of the columns whose names an expression has."""
        words = set(re.findall(r'\w+|"[^"]+"', expression))
        return tuple(column.number for column in self.columns.values() if words & {column.name, f'"{column.name}"'})


def tables_of(connection: Connection[Any]) -> list[Table]:
    """The project's tables, by name."""
    rows = {query: connection.execute(query.encode()).fetchall() for query in (TABLES, COLUMNS, CHECKS, UNIQUE)}
    tables = {oid: Table(oid, name, bare, root or name) for oid, name, bare, _, root in rows[TABLES]}
    types = types_of(connection) if tables else {}
    for oid, number, name, type_, modifier, not_null, is_generated, default, sequence in rows[COLUMNS]:
        if oid in tables:
            if found := NEXTVAL.search(default or ""):
                sequence = found[1].replace("''", "'")
            is_nullable = not (not_null or types[type_].is_not_null)
            column = Column(number, name, types[type_], modifier, is_nullable, is_generated, default, sequence)
            tables[oid].columns[number] = column
    for oid, _, _, bounds, _ in rows[TABLES]:
        if bounds:
            tables[oid].checks.append(Check(tables[oid].mentioned(bounds), bounds))
    for oid, columns, expression in rows[CHECKS]:
        if oid in tables:
            tables[oid].checks.append(Check(tuple(columns), expression))
    for oid, columns, expression in rows[UNIQUE]:
        if oid in tables:
            tables[oid].unique.update(number for number in columns if number)
            tables[oid].unique.update(tables[oid].mentioned(expression))
    for oid, columns, other, other_columns, name, other_names in connection.execute(FOREIGN_KEYS.encode()):
        if oid in tables:
            key = ForeignKey(tuple(columns), other, tuple(other_columns), name, tuple(other_names))
            tables[oid].foreign_keys.append(key)
    return list(tables.values())
