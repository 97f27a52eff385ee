"""What the tables of a database contain."""

from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection, sql

from .tables import Column, Table, tables_of


@dataclass
class Content:
    """The rows of a table.

    Attributes:
        values: the values of each column, by its number, as texts.
    """

    table: Table
    count: int = 0
    values: dict[int, list[str | None]] = field(default_factory=dict)

    def distinct(self, column: Column) -> set[str]:
        """The different values of a column."""
        return {text for text in self.values[column.number] if text is not None}


def contents(connection: Connection[Any]) -> dict[int, Content]:
    """The content of each table, by oid."""
    return {table.oid: _content(connection, table) for table in tables_of(connection)}


def _content(connection: Connection[Any], table: Table) -> Content:
    lists = [sql.SQL("array_agg({}::text)").format(sql.Identifier(column.name)) for column in table.columns.values()]
    query = sql.SQL("SELECT {} FROM ONLY {}")
    row = connection.execute(query.format(sql.SQL(", ").join([sql.SQL("count(*)"), *lists]), sql.SQL(table.name)))
    [(count, *values)] = row.fetchall()
    return Content(table, count, {number: texts or [] for number, texts in zip(table.columns, values, strict=True)})
