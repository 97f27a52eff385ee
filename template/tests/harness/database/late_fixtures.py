"""Refuses writes of a fixture with a wider scope that is set up during a test, by `getfixturevalue` or pytest-bdd.

Its rows would be rolled back or dropped with this test, and later tests would use the fixture without them. Set up
before the test, the writes of an asynchronous engine are refused by PostgreSQL, since its transactions are read-only.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from ..connections.process import REDIRECT
from ..connections.redirect import Redirect
from ..transaction.logical_connection import IN_LIFESPAN, IN_MIGRATION
from ..transaction.statement_kind import Kind, kind_of
from .fixture_rows import ROWS, is_of_harness

LATE = (
    "The fixture `{}` with scope {} was set up during a test, and wrote to the database. Its rows would be gone after "
    "the test, and later tests that use the fixture would not find them. Give the fixture function scope, or write "
    "rows that all tests need in the fixture `seed_data`."
)


def around_setup(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> AbstractContextManager[None]:
    """Around the setup of a fixture with a wider scope: refuse writes if a test is running, or see `fixture_rows`."""
    if fixturedef.scope == "function":
        return nullcontext()
    redirect, rows = request.config.stash[REDIRECT], request.config.stash[ROWS]
    is_in_test = redirect.shared.isolate is not None or redirect.shared.transactions.mode in ("test", "own_database")
    is_isolated = redirect.shared.transactions.mode != "outside"
    if is_in_test and (is_isolated or not redirect.is_synchronous):
        return _refusing(redirect, LATE.format(fixturedef.argname, fixturedef.scope))
    if is_of_harness(fixturedef) or rows.is_connecting:
        return nullcontext()
    return rows.around_setup(fixturedef, request)


@contextmanager
def _refusing(redirect: Redirect, message: str) -> Iterator[None]:
    def refuse(connection: Connection, cursor: object, sql: str, *more: object) -> None:
        dialect = connection.dialect
        is_of_harness = dialect.name != "postgresql" or redirect.engines.url_of_harness(dialect) is not None
        if not (is_of_harness or IN_LIFESPAN.get() or IN_MIGRATION.get()) and kind_of(sql) in (Kind.WRITE, Kind.DDL):
            redirect.shared.transactions.refuse(message)

    # First, before the statement is recorded.
    event.listen(Engine, "before_cursor_execute", refuse, insert=True)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", refuse)
