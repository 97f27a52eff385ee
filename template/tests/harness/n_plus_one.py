"""Guard: no request sends one query again and again, a row at a time (N+1).

With the three rows of a test that is quick, and with the thousand of production it is not. The same text of a SELECT
counts, whatever its parameters are; what a test sends by itself does not.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import pytest
from sqlalchemy import Connection, Engine, event

from .guards import Guard
from .places import place_of_call
from .queries import shortened

INI_HELP = "How often a request may send one query; the guard n_plus_one fires when it has."


@dataclass(frozen=True)
class Request:
    """One that is being answered: how often it has sent each statement."""

    item: pytest.Item
    most: int
    counts: Counter[str] = field(default_factory=Counter)


# Of each request its own: with a database of its own, a test may send several at once.
REQUEST: ContextVar[Request | None] = ContextVar("request", default=None)


def _count(connection: Connection, cursor: object, sql: str, *rest: object) -> None:
    request = REQUEST.get()
    if request is None:
        return
    request.counts[sql] += 1
    # Where it came from is looked for once: it takes longer than counting.
    if request.counts[sql] == request.most and sql.lstrip()[:6].upper() == "SELECT":
        place = place_of_call(request.item.config.rootpath)
        lines = [f"a request has sent one query {request.most} times, and may go on:", f"  {shortened(sql)}"]
        GUARD.fires(request.item, "\n".join([*lines, f"  {place}"] if place else lines))


@contextmanager
def _counting(item: pytest.Item) -> Iterator[None]:
    before = REQUEST.set(Request(item, int(item.config.getini("n_plus_one"))))
    try:
        yield
    finally:
        REQUEST.reset(before)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("n_plus_one", INI_HELP, default="5")


def pytest_configure() -> None:
    event.listen(Engine, "before_cursor_execute", _count)


def pytest_unconfigure() -> None:
    event.remove(Engine, "before_cursor_execute", _count)


GUARD = Guard(
    "n_plus_one",
    why="it is a query more for each row that is there, and production has more of them than a test.",
    instead="load them at once: selectinload() for a relationship, `where(column.in_(ids))` for a loop.",
    request=_counting,
)
