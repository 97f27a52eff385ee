"""Tests that the harness does not govern: with `governed_tests`, an older suite moves over step by step.

Such a test keeps its database and its fixtures: connections are not redirected, no guard applies, and there is no time
limit. These tests run first, before the lifespan runs for the others.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any
from weakref import WeakSet

import pytest
from sqlalchemy import Connection, Engine, Pool, event
from sqlalchemy.pool import ConnectionPoolEntry

from ..connections.process import REDIRECT
from ..connections.redirect import Redirect
from ..core.project import is_governed
from ..core.settings import settings_of
from ..transaction.refusals import IsolationError

# Only a test that is governed can have them: they need the test's database.
NEED_DATABASE = {"_worker_database", "_own_database", "running_app"}
NOT_GOVERNED = (
    "{} is not in governed_tests ([tool.savepoint] of pyproject.toml), and uses {} of the harness. Add its path to "
    "governed_tests, or use the suite's own fixtures."
)


KEPT = (
    "A connection was opened by a fixture of a test that is not in governed_tests, and is used by a governed test: its "
    "rows would be written to the database of that fixture. Give the fixture the scope of its module, or govern both."
)

# Connections that were opened while a test ran that is not governed.
OPENED: WeakSet[Any] = WeakSet()


def configure(config: pytest.Config) -> None:
    if not settings_of(config).governed_tests:
        return
    redirect = config.stash[REDIRECT]

    def opened(connection: object, record: ConnectionPoolEntry) -> None:
        if not redirect.is_listening:
            OPENED.add(record.driver_connection)

    def used(connection: Connection, *arguments: Any) -> None:
        if redirect.is_listening and connection.connection.driver_connection in OPENED:
            raise IsolationError(KEPT)

    for target, name, function in ((Pool, "connect", opened), (Engine, "before_cursor_execute", used)):
        event.listen(target, name, function)
        config.add_cleanup(partial(event.remove, target, name, function))


def run_others_first(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Move the tests that are not governed to the front."""
    if settings_of(config).governed_tests:
        items.sort(key=is_governed)


@contextmanager
def letting_connect(item: pytest.Item) -> Iterator[None]:
    """Redirect no connections while a test runs that is not governed."""
    with nullcontext() if is_governed(item) else _not_listening(item.config.stash[REDIRECT]):
        yield


def check_fixtures(item: pytest.Item) -> None:
    """Fail a test that is not governed and needs the harness's database."""
    used = [f"the fixture {name}" for name in NEED_DATABASE.intersection(getattr(item, "fixturenames", ()))]
    if item.get_closest_marker("own_database"):
        used.append("the mark own_database")
    if used:
        pytest.fail(NOT_GOVERNED.format(item.nodeid, " and ".join(sorted(used))), pytrace=False)


@contextmanager
def letting_end(fixturedef: pytest.FixtureDef[Any], config: pytest.Config) -> Iterator[None]:
    """A fixture with a wider scope that such a test sets up also ends, at the end of the run, with its connections."""
    redirect = config.stash[REDIRECT]
    if fixturedef.scope == "function" or redirect.is_listening:
        yield
        return
    ending = ExitStack()
    # The last finalizer runs first.
    fixturedef.addfinalizer(ending.close)
    try:
        yield
    finally:
        fixturedef.addfinalizer(lambda: ending.enter_context(_not_listening(redirect)))


@contextmanager
def _not_listening(redirect: Redirect) -> Iterator[None]:
    if not redirect.is_listening:
        yield
        return
    redirect.engines.replace_pools()
    redirect.stop(is_for_good=False)
    try:
        yield
    finally:
        redirect.engines.replace_pools()
        redirect.listen()
