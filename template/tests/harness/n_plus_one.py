"""Guard: no request sends one query again and again, a row at a time (N+1).

With the three rows of a test that is quick, and with the thousand of production it is not. The same text of a SELECT
counts, whatever its parameters are; what a test sends by itself does not.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import pytest
from sqlalchemy import Connection, Engine, event

from .guards import Guard
from .places import place_of_call
from .queries import shortened

OF_REQUEST: ContextVar[Counter[str] | None] = ContextVar("of_request", default=None)

INI_HELP = "How often a request may send one query; the guard n_plus_one fires when it has."


@contextmanager
def _counting(item: pytest.Item) -> Iterator[None]:
    most = int(item.config.getini("n_plus_one"))
    counts: Counter[str] = Counter()

    def count(connection: Connection, cursor: object, sql: str, *rest: object) -> None:
        # Of this request alone: with a database of its own, a test may send several at once.
        if OF_REQUEST.get() is not counts:
            return
        counts[sql] += 1
        # Where it came from is looked for once: it takes longer than counting.
        if counts[sql] == most and sql.lstrip()[:6].upper() == "SELECT":
            place = place_of_call(item.config.rootpath)
            lines = [f"a request has sent one query {most} times, and may go on:", f"  {shortened(sql)}"]
            GUARD.fires(item, "\n".join([*lines, f"  {place}"] if place else lines))

    before = OF_REQUEST.set(counts)
    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield
    finally:
        OF_REQUEST.reset(before)
        event.remove(Engine, "before_cursor_execute", count)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("n_plus_one", INI_HELP, default="5")


GUARD = Guard(
    "n_plus_one",
    why="it is a query more for each row that is there, and production has more of them than a test.",
    instead="load them at once: selectinload() for a relationship, `where(column.in_(ids))` for a loop.",
    request=_counting,
)
