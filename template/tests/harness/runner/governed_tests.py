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
from ..core.anyio_backend import fixture_definitions
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

WORKSTEAL = (
    "governed_tests: --dist worksteal would run tests that are not governed after the lifespan of the application has "
    "started. Use --dist load or --dist loadfile."
)

# Connections that were opened while a test ran that is not governed.
OPENED: WeakSet[Any] = WeakSet()
# The fixtures whose value is such a connection of a driver: SQLAlchemy's events do not see what it executes.
RAW: WeakSet[pytest.FixtureDef[Any]] = WeakSet()
DRIVERS = {"asyncpg", "psycopg", "psycopg2", "psycopg_pool"}


def configure(config: pytest.Config) -> None:
    if not settings_of(config).governed_tests:
        return
    if getattr(config.option, "dist", None) == "worksteal":
        raise pytest.UsageError(WORKSTEAL)
    # Otherwise, pytest-xdist would begin with the files that have the most tests.
    config.option.loadscopereorder = False
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


# Within the wrappers of pytest's own plugins: their part of the teardown needs their part of the setup.
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test that is not governed and needs the harness's database."""
    if is_governed(item):
        for name, found in fixture_definitions(item).items() if RAW and isinstance(item, pytest.Function) else ():
            if found[-1] in RAW and found[-1].cached_result is not None:
                pytest.fail(f"The fixture {name}: {KEPT}", pytrace=False)
        return
    used = []
    if isinstance(item, pytest.Function) and (names := NEED_DATABASE.intersection(item.fixturenames)):
        # What the test or its own fixtures request is named, not what the harness then needs.
        public = {name for name, found in fixture_definitions(item).items() if _is_of_isolated(found[-1])}
        used = [f"the fixture {name}" for name in public or names]
    if item.get_closest_marker("own_database"):
        used.append("the mark own_database")
    if used:
        pytest.fail(NOT_GOVERNED.format(item.nodeid, " and ".join(sorted(used))), pytrace=False)


def check_late_fixture(fixturedef: pytest.FixtureDef[Any], request: Any) -> None:
    """Fail such a test if it requests the harness's database in its body: the application would use its own."""
    if request.config.stash[REDIRECT].is_listening or not settings_of(request.config).governed_tests:
        return
    if fixturedef.argname in NEED_DATABASE or _is_of_isolated(fixturedef):
        # pytest cannot set up a fixture again whose setup has neither a result nor an end.
        fixturedef.cached_result = (None, None, None)
        fixturedef.finish(request)
        name = "the database" if fixturedef.argname in NEED_DATABASE else f"the fixture {fixturedef.argname}"
        pytest.fail(NOT_GOVERNED.format(request.node.nodeid or "A test", name), pytrace=False)


def _is_of_isolated(fixturedef: pytest.FixtureDef[Any]) -> bool:
    """Whether it is one of the harness's fixtures for an isolated test, such as `client` and `db_session`."""
    return "_isolated" in fixturedef.argnames


def _is_of_driver(value: object) -> bool:
    return type(value).__module__.partition(".")[0] in DRIVERS


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
        if fixturedef.cached_result and _is_of_driver(fixturedef.cached_result[0]):
            RAW.add(fixturedef)
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
