"""Counts the statements of a block: `with queries.at_most(3):` finds a query in a loop (N+1), which no result shows.

All statements that SQLAlchemy sends during the block count: those of the application, of tasks of a request and of the
test. Statements of lifespan tasks do not count. Statements that control transactions and savepoints do not count, so
the number is the same in an own_database test. An `executemany` is one statement. The listener is active only during a
block.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event

from ..core.source_lines import place_of_call
from ..transaction.logical_connection import IN_LIFESPAN

CONTROL = re.compile(r"\s*(BEGIN|START|COMMIT|END|ROLLBACK|SAVEPOINT|RELEASE|SET (CONSTRAINTS|TRANSACTION))\b", re.I)

# A bound parameter in the syntax of asyncpg ($1::BIGINT), psycopg (%(id_1)s::BIGINT) and psycopg2 (%(id_1)s).
PARAMETER = r"(?:\$\d+|%\(\w+\)s|%s)(?:::[\w ]+(?:\([\d, ]+\))?)?"
IN_LIST = re.compile(rf"\bIN \({PARAMETER}(?:, {PARAMETER})*\)")
COLUMNS = re.compile(r"^SELECT (?:(?! FROM ).){50,} FROM ")
LONGEST = 300


def controls_transaction(sql: str) -> bool:
    """Whether a statement begins, ends or configures a transaction or a savepoint."""
    return CONTROL.match(sql) is not None


@dataclass(frozen=True)
class Statement:
    """A statement that was sent: its SQL on one line, and its place in the project, e.g.
    "src/shop/users.py:31, in list_users".

    Parameters are left out: they would be in the message of a failed test, and may be secrets.
    """

    sql: str
    place: str | None


class Queries:
    """Counts and shows the statements of a block; blocks may be nested, and each block counts separately.

    Args:
        root: the project's folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def at_most(self, number: int) -> Iterator[list[Statement]]:
        """Fail if the block sends more statements than `number`; yields them."""
        __tracebackhide__ = True
        with self.recorded() as statements:
            yield statements
        if len(statements) > number:
            pytest.fail(_message("at most", number, statements))

    @contextmanager
    def exactly(self, number: int) -> Iterator[list[Statement]]:
        """Fail unless the block sends exactly `number` statements; yields them."""
        __tracebackhide__ = True
        with self.recorded() as statements:
            yield statements
        if len(statements) != number:
            pytest.fail(_message("exactly", number, statements))

    @contextmanager
    def recorded(self) -> Iterator[list[Statement]]:
        """Yield the statements of the block, in the order in which they are sent, including those that fail."""
        statements: list[Statement] = []

        def record(
            connection: Connection, cursor: object, sql: str, parameters: object, context: object, executemany: bool
        ) -> None:
            if not controls_transaction(sql) and not IN_LIFESPAN.get():
                statements.append(Statement(" ".join(sql.split()), place_of_call(self._root)))

        # On the class: for existing engines and connections, and for new ones.
        event.listen(Engine, "before_cursor_execute", record)
        try:
            yield statements
        finally:
            event.remove(Engine, "before_cursor_execute", record)


def _message(limit: str, number: int, statements: Sequence[Statement]) -> str:
    sent = {0: "none was", 1: "1 was"}.get(len(statements), f"{len(statements)} were")
    heading = f"expected {limit} {number} statement{'' if number == 1 else 's'}, and {sent} sent"
    # Statements that differ only in the length of an IN list are counted as one repeated statement.
    repeated = Counter((IN_LIST.sub("IN (...)", statement.sql), statement.place) for statement in statements)
    lines = []
    for (sql, place), count in repeated.items():
        times = f"{count}\N{MULTIPLICATION SIGN}" if count > 1 else ""
        lines.append(f"{times:>5} {shortened(sql)}")
        if place is not None:
            lines.append(f"{'':8}{place}")
    return "\n".join([f"{heading}:" if lines else f"{heading}.", *lines])


def shortened(sql: str) -> str:
    """A statement on one line, shortened for a message."""
    # The list of columns is long and seldom matters.
    sql = COLUMNS.sub("SELECT ... FROM ", " ".join(sql.split()))
    return sql if len(sql) <= LONGEST else f"{sql[:LONGEST]}..."


@pytest.fixture
def queries(pytestconfig: pytest.Config) -> Queries:
    """Counts the statements of a block: `with queries.at_most(3):`, `.exactly(2)`, `.recorded() as statements`."""
    return Queries(pytestconfig.rootpath)
