"""What the tables of a database contain."""

from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection, sql

from .tables import Column, Table, tables_of

# Tables that are read in one round trip.
AT_ONCE = 50
# The values of more rows, which migrations have put there, are not read.
MOST = 10_000


@dataclass
class Content:
    """The rows of a table.

    Attributes:
        values: the values of each column, by its number, as texts; none if there are too many rows.
    """

    table: Table
    count: int = 0
    values: dict[int, list[str | None]] = field(default_factory=dict)

    @property
    def is_read(self) -> bool:
        """Whether the values were read."""
        return self.count <= MOST

    def distinct(self, column: Column) -> set[str]:
        """The different values of a column."""
        return {text for text in self.values[column.number] if text is not None}


def contents(connection: Connection[Any]) -> dict[int, Content]:
    """The content of each table, by oid."""
    found, tables = {}, tables_of(connection)
    for first in range(0, len(tables), AT_ONCE):
        part = tables[first : first + AT_ONCE]
        cursor = connection.execute(sql.SQL("; ").join(map(_query, part)))
        for table in part:
            [(count, _, *values)] = cursor.fetchall()
            by_number = {number: texts or [] for number, texts in zip(table.columns, values, strict=True)}
            found[table.oid] = Content(table, count, by_number)
            cursor.nextset()
    return found


def counts(connection: Connection[Any]) -> dict[str, int]:
    """The number of rows of each table, by name."""
    return {content.table.name: content.count for content in contents(connection).values()}


def _query(table: Table) -> sql.Composed:
    lists = [sql.SQL("array_agg({}::text)").format(sql.Identifier(column.name)) for column in table.columns.values()]
    count = sql.SQL("(SELECT count(*) FROM ONLY {})").format(sql.SQL(table.name))
    query = "SELECT {} FROM ONLY {} WHERE {} <= {}"
    # An aggregate, also for a table without columns: one row.
    columns = sql.SQL(", ").join([count, sql.SQL("count(*)"), *lists])
    return sql.SQL(query).format(columns, sql.SQL(table.name), count, MOST)
