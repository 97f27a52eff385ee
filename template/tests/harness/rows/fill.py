"""Fills tables with made-up rows, one INSERT for each table.

User triggers do not run, and foreign keys are not checked while rows are inserted, if the connection may set
`session_replication_role`; the rows satisfy the foreign keys. A row that a table refuses is left out.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
from psycopg import Connection, sql

from .attempt import attempt
from .made_rows import MOST, ROWS, CannotFillError, later_checks, later_keys, made_rows
from .satisfying import Row, allow_domains
from .tables import ForeignKey, Table, tables_of

T = TypeVar("T")

# Tables of one transaction: the server has room for the locks of some thousand tables and indexes.
AT_ONCE = 100
REPLICA = sql.SQL("SET LOCAL session_replication_role = replica")
# Rows of earlier migrations may have the same values.
INSERT = "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES {} ON CONFLICT DO NOTHING"
# Tables that refer to each other: the rows of one get their references when both have rows.
REFER = """
    WITH child AS (SELECT ctid, row_number() OVER (ORDER BY ctid) AS number FROM ONLY {table} child
            WHERE NOT EXISTS (SELECT FROM {other} other WHERE ({columns}) = ({names}))),
        other AS (SELECT {aliased}, row_number() OVER (ORDER BY ctid) AS number FROM {other})
    UPDATE ONLY {table} changed SET ({plain}) = ROW({aliases}) FROM child
        JOIN other ON other.number = 1 + (child.number - 1) % (SELECT max(number) FROM other)
        WHERE changed.ctid = child.ctid AND (NOT {nullable} OR child.number % {rows} <> 0)
"""


@dataclass
class Filling:
    """Fills the tables of a database.

    Args:
        connection: in autocommit mode.
        later: the tables as they are to be after the migrations, by name; rows satisfy their CHECKs and foreign keys.
        first: the number of the first row; other than in an earlier filling of the same tables.

    Attributes:
        refused: the tables that could not be filled: name and reason.
        runs_triggers: whether triggers run, since they cannot be switched off.
    """

    connection: Connection[Any]
    later: Mapping[str, Table] = field(default_factory=dict)
    first: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    runs_triggers: bool = False
    _tables: dict[int, Table] = field(default_factory=dict)
    _filled: set[int] = field(default_factory=set)

    def fill(self, leave: Collection[str] = ()) -> None:
        """Fill all tables but those to leave, by name."""
        self._tables = {table.oid: table for table in tables_of(self.connection)}
        with self._transaction():
            allow_domains(self.connection, self._tables.values(), range(self.first, self.first + MOST))
        open_keys = []
        for tables in _parts(list(_in_order(self._tables))):
            with self._transaction():
                for table in tables:
                    if table.name not in leave and table.columns:
                        keys = [*table.foreign_keys, *self._later_keys(table)]
                        open_keys += [(table, key) for key in keys if not self._has_rows(key, table)]
                        self._fill(table)
                    self._filled.add(table.oid)
        for pairs in _parts(open_keys):
            with self._transaction():
                for table, key in pairs:
                    self._error(_refer(table, key))
        self._advance_sequences()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self.connection.transaction():
            self.runs_triggers = self._error(REPLICA) is not None
            # Otherwise, the transaction would fail at its end.
            self._error(sql.SQL("SET CONSTRAINTS ALL IMMEDIATE"))
            yield

    def _fill(self, table: Table) -> None:
        later = self.later.get(table.name)
        keys = [key for key in table.foreign_keys if key.table != table.oid and self._has_rows(key, table)]
        others = {key: self._others(key) for key in keys}
        for key in self._later_keys(table):
            if self._has_rows(key, table):
                found = self._others(key)
                if found or all(table.columns[number].is_nullable for number in key.columns):
                    others[key] = found
        try:
            rows = made_rows(self.connection, table, self.first, others, later_checks(table, later) if later else ())
        except CannotFillError as cannot:
            self.refused[table.name] = str(cannot)
            return
        if (error := self._insert(table, rows)) is not None:
            # Some of the rows may be allowed.
            errors = [self._insert(table, [row]) for row in rows]
            if None not in errors:
                self.refused[table.name] = error

    def _later_keys(self, table: Table) -> list[ForeignKey]:
        later, names = self.later.get(table.name), {found.name: found for found in self._tables.values()}
        return list(later_keys(table, later, names)) if later else []

    def _insert(self, table: Table, rows: Sequence[Row]) -> str | None:
        columns = [column for column in table.columns.values() if not column.is_generated]
        names = sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
        values = sql.SQL(", ").join(
            sql.SQL("({})").format(
                sql.SQL(", ").join(
                    sql.Literal(row[column.number]) if column.number in row else sql.DEFAULT for column in columns
                )
            )
            for row in rows
        )
        parts = sql.SQL(table.name), names, values
        error = self._error(sql.SQL(INSERT).format(*parts))
        if error is not None and "ON CONFLICT" in error:
            # Not with deferrable constraints, nor with rules.
            error = self._error(sql.SQL(INSERT.removesuffix(" ON CONFLICT DO NOTHING")).format(*parts))
        return error

    def _error(self, statement: sql.SQL | sql.Composed) -> str | None:
        """Send a statement; returns PostgreSQL's message if it fails."""
        try:
            attempt(self.connection, statement)
        except psycopg.Error as error:
            return error.diag.message_primary or str(error)
        return None

    def _has_rows(self, key: ForeignKey, table: Table) -> bool:
        """Whether the table that a key refers to was filled before; a partitioned table is none of the tables."""
        return key.table == table.oid or key.table in self._filled or key.table not in self._tables

    def _others(self, key: ForeignKey) -> list[tuple[str, ...]]:
        texts, names = ", ".join(f"{name}::text" for name in key.other_names), ", ".join(key.other_names)
        # The newest first: those of this filling.
        query = f"SELECT {texts} FROM {key.name} WHERE num_nulls({names}) = 0 ORDER BY ctid DESC LIMIT {MOST}"
        return self.connection.execute(query.encode()).fetchall()

    def _advance_sequences(self) -> None:
        query = "SELECT setval({}, max({column})) FROM {} HAVING max({column}) > 0"
        statements = [
            sql.SQL(query).format(sql.Literal(column.sequence), sql.SQL(table.name), column=sql.Identifier(column.name))
            for table in self._tables.values()
            for column in table.columns.values()
            if column.sequence
        ]
        for part in _parts(statements):
            with self._transaction():
                if self._error(sql.SQL("; ").join(part)) is not None:
                    # One of them may have a maximum.
                    for statement in part:
                        self._error(statement)


def _refer(table: Table, key: ForeignKey) -> sql.Composed:
    names = [sql.Identifier(table.columns[number].name) for number in key.columns]
    aliases = [sql.Identifier("other", f"column{number}") for number, _ in enumerate(names)]
    quoted = [sql.SQL(name) for name in key.other_names]
    comma = sql.SQL(", ")
    return sql.SQL(REFER).format(
        table=sql.SQL(table.name),
        other=sql.SQL(key.name),
        columns=comma.join(sql.SQL("child.{}").format(name) for name in names),
        names=comma.join(sql.SQL("other.{}").format(name) for name in quoted),
        aliased=comma.join(
            sql.SQL("{} AS {}").format(name, sql.Identifier(f"column{number}")) for number, name in enumerate(quoted)
        ),
        plain=comma.join(names),
        aliases=comma.join(aliases),
        nullable=sql.Literal(any(table.columns[number].is_nullable for number in key.columns)),
        rows=sql.Literal(ROWS),
    )


def _parts(whole: Sequence[T]) -> Iterator[Sequence[T]]:
    return (whole[first : first + AT_ONCE] for first in range(0, len(whole), AT_ONCE))


def _in_order(tables: Mapping[int, Table]) -> Iterator[Table]:
    """Tables before those that refer to them, where there is no circle."""
    left = dict(tables)
    while left:
        waiting = {
            table.oid: sum(key.table in left and key.table != table.oid for key in table.foreign_keys)
            for table in left.values()
        }
        fewest = min(waiting.values())
        for oid in [oid for oid, count in waiting.items() if count == fewest][: None if fewest == 0 else 1]:
            yield left.pop(oid)
