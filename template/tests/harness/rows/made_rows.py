"""The rows that a table is filled with: two with values, the first again, one with NULL, one for each label."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from psycopg import Connection

from .satisfying import Row, satisfying
from .tables import Check, Column, ForeignKey, Table
from .values import value

# Places of rows: the first row again, where columns are not unique; and NULL, where it is allowed.
AGAIN, NULLS = 2, 3
ROWS, MOST = 4, 16

# The values of the columns that a foreign key refers to, a tuple for each row.
Others = Mapping[ForeignKey, Sequence[tuple[str, ...]]]


class CannotFillError(Exception):
    """A table cannot have rows; the message says why."""


def made_rows(
    connection: Connection[Any], table: Table, first: int, others: Others, checks: Iterable[Check] = ()
) -> list[Row]:
    """The rows of a table, as texts by column number.

    Args:
        first: the number of the first row; other than in an earlier filling of the same table.
        others: the rows that foreign keys can refer to; a foreign key that is missing here is left out.
        checks: CHECKs that the table is to have later.

    Raises:
        CannotFillError: a column needs a value, and none can be made up.
    """
    for key, rows in others.items():
        if not rows and any(not table.columns[number].is_nullable for number in key.columns):
            raise CannotFillError(f"it refers to {key.name}, which has no rows")
    labels = [len(column.type.labels) for column in table.columns.values()]
    count = min(MOST, max(ROWS, *(2 + number for number in labels)))
    known = {key.columns[0]: [row[0] for row in rows] for key, rows in others.items() if len(key.columns) == 1}
    groups = satisfying(connection, table, checks, range(first, first + count), known.get)
    chosen = [_Chosen(group, table.unique) for group in groups if group]
    made: list[Row] = []
    for place in range(count):
        row: Row = {}
        for group in chosen:
            row |= group.next(place)
        for key in sorted(others, key=lambda key: -len(key.columns)):
            row |= _reference(table, row, key, others[key], place)
        # In a circle, the other table has no rows yet.
        is_open = [key for key in table.foreign_keys if key.table != table.oid and key not in others]
        unknown = {number for key in is_open for number in key.columns if table.columns[number].is_nullable}
        row |= dict.fromkeys(unknown - row.keys())
        of_itself = [key for key in table.foreign_keys if key.table == table.oid]
        later = {number for key in of_itself for number in key.columns} - row.keys()
        for column in table.columns.values():
            if column.number not in row and column.number not in later and not column.is_generated:
                row |= _value(table, column, first, place)
        for key in of_itself:
            row |= _reference_to_itself(table, row, key, made)
        made.append(row)
    return made


def _value(table: Table, column: Column, first: int, place: int) -> Row:
    """The value of a column; nothing for its default."""
    is_unique = column.number in table.unique
    if place == NULLS and column.is_nullable:
        return {column.number: None}
    number = place if is_unique else {AGAIN: 0, NULLS: 0}.get(place, place if place < AGAIN else place - 2)
    made = value(column.type, column.modifier, first + number, f"{table.bare_name}.{column.name}")
    if made is None and column.default is not None:
        return {}
    if made is None and not column.is_nullable:
        raise CannotFillError(f"column {column.name} has type {column.type.sql}")
    return {column.number: made}


def _reference(
    table: Table, row: Row, key: ForeignKey, others: Sequence[tuple[str, ...]], place: int
) -> Iterable[tuple[int, str | None]]:
    free = [number for number in key.columns if number not in row]
    nullable = [number for number in free if table.columns[number].is_nullable]
    fixed = {index: row[number] for index, number in enumerate(key.columns) if number in row}
    fitting = [other for other in others if all(other[index] == text for index, text in fixed.items())]
    if nullable and (place == NULLS or not fitting):
        return dict.fromkeys(nullable).items()
    if not fitting:
        return ()
    number = 0 if place == AGAIN and not table.unique & set(key.columns) else place
    other = fitting[number % len(fitting)]
    return [pair for pair in zip(key.columns, other, strict=True) if pair[0] in free]


def _reference_to_itself(
    table: Table, row: Row, key: ForeignKey, made: Sequence[Row]
) -> Iterable[tuple[int, str | None]]:
    """The first row refers to nothing, or to itself; each later one refers to an earlier one, or to itself."""
    free = [number for number in key.columns if number not in row]
    nullable = [number for number in free if table.columns[number].is_nullable]
    if nullable and len(made) in (0, NULLS):
        return dict.fromkeys(nullable).items()
    pairs = dict(zip(key.columns, key.other_columns, strict=True))
    candidates = made[:1] if not table.unique & set(key.columns) else made[-1:]
    for other in [*candidates, row]:
        texts = {number: other.get(pairs[number], row.get(pairs[number])) for number in key.columns}
        if all(row[number] == text for number, text in texts.items() if number not in free):
            return [(number, texts[number]) for number in free]
    return dict.fromkeys(nullable).items()


class _Chosen:
    """Takes one combination after the other, with values that were not taken yet where they must be unique."""

    def __init__(self, solutions: list[Row], unique: set[int]) -> None:
        self._all, self._nulls = _alternating(solutions), solutions[-1]
        self._unique = sorted(unique & solutions[0].keys())
        self._taken: set[tuple[int, str | None]] = set()

    def next(self, place: int) -> Row:
        if place == NULLS and not any(self._nulls[number] for number in self._unique):
            return self._nulls
        for row in self._all if self._unique else ():
            values = {(number, row[number]) for number in self._unique}
            if not values & self._taken:
                self._taken |= values
                return row
        return self._all[0 if place == AGAIN else place % len(self._all)]


def _alternating(solutions: list[Row]) -> list[Row]:
    """The solutions with fewest NULLs, those with NULL in one column and those with NULL in another by turns."""
    fewest = min(sum(text is None for text in row.values()) for row in solutions)
    by_columns: dict[frozenset[int], list[Row]] = {}
    for row in solutions:
        nulls = frozenset(number for number, text in row.items() if text is None)
        if len(nulls) == fewest:
            by_columns.setdefault(nulls, []).append(row)
    return [row for rows in zip_longest(*by_columns.values()) for row in rows if row is not None]


def later_checks(table: Table, later: Table) -> Iterator[Check]:
    """The CHECKs that a table has later, and not now, on columns that it has now."""
    known = {check.expression for check in table.checks}
    for check in later.checks:
        columns = _now(check.columns, later, table)
        if columns and check.expression not in known:
            yield Check(columns, check.expression)


def later_keys(table: Table, later: Table, tables: Mapping[str, Table]) -> Iterator[ForeignKey]:
    """The foreign keys that a table has later, and not now, to columns that exist now."""
    known = {key.columns for key in table.foreign_keys}
    for key in later.foreign_keys:
        columns, other = _now(key.columns, later, table), tables.get(key.name)
        if columns and columns not in known and other and other.oid != table.oid:
            names = {name.strip('"') for name in key.other_names}
            if names <= other.by_name.keys():
                yield ForeignKey(columns, other.oid, (), key.name, key.other_names)


def _now(numbers: Iterable[int], later: Table, table: Table) -> tuple[int, ...]:
    """The numbers of the columns that have these names and types now; none if one is missing."""
    found = []
    for number in numbers:
        column = later.columns[number]
        now = table.by_name.get(column.name)
        if now is None or now.type.sql != column.type.sql:
            return ()
        found.append(now.number)
    return tuple(found)
