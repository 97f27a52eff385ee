"""No other database: every connection of the test process to a PostgreSQL goes to the test's own database.

An application opens connections in more places than its `get_db`: a lifespan, a health check, a script with an
engine of its own and whatever URL a `.env` file names. A `do_connect` listener on the class `Engine` sees those of
SQLAlchemy's engines, made before it or after; `drivers` sees `creator=` and what is asked of a driver by hand. The
driver and its options are kept, the address is replaced, and without a database the connection is refused. What
neither of them sees is asked for the name of its database when a pool gets it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

import pytest
from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import Pool

from . import driver_pools
from .backstop import Backstop
from .drivers import ADDRESS, APPLICATION, ASKED_BY, HARNESS, Connect, Patches, address, options_of, pool_that_asks
from .places import HARNESS as FOLDER
from .places import place_of_call
from .refusals import NO_DATABASE
from .transaction import IsolationError


class NoTestDatabaseError(Exception):
    """A connection was asked for where no test database is in use."""


class Redirect:
    """Where connections of this process go: the database of the test that runs, or nowhere.

    Attributes:
        raw_refusal: why a connection by hand would be wrong now; None if it goes to the test's database.
        pooled: what becomes of a connection that a pool of SQLAlchemy's asks a driver for, as `drivers.Policy.ask`.
        root: the project's folder.
    """

    def __init__(self) -> None:
        self.raw_refusal: str | None = None
        self.pooled = self.redirected
        self.root = FOLDER.parents[1]
        self._database: URL | None = None
        self._patches = Patches()
        self._backstop = Backstop(self)
        self._harness_dialects: WeakSet[Dialect] = WeakSet()
        self._tests_dialects: WeakSet[Dialect] = WeakSet()
        self._engines: WeakSet[Engine] = WeakSet()
        self._listeners: list[tuple[Any, str, Callable[..., None]]] = [
            (Engine, "do_connect", self.do_connect),
            (Engine, "engine_connect", self.engine_connect),
            (Pool, "connect", self._backstop.connect),
        ]
        self._is_listening = False

    def listen(self) -> None:
        """Hear of all connections from now on."""
        if not self._is_listening:
            self._is_listening = True
            for target, name, function in self._listeners:
                event.listen(target, name, function)
            self._patches.apply(self)
            driver_pools.apply(self._patches.replace, self)

    def stop(self) -> None:
        """Hear of none any more."""
        if self._is_listening:
            self._is_listening = False
            self._patches.undo()
            for target, name, function in self._listeners:
                event.remove(target, name, function)

    @contextmanager
    def to(self, database: URL) -> Iterator[None]:
        """Send every connection to `database` until the block ends; then to where they went before."""
        before, self._database = self._database, database
        try:
            yield
        finally:
            self._database = before

    @contextmanager
    def refusing(self, refusal: str | None) -> Iterator[None]:
        """Refuse connections by hand until the block ends, or let them through; then as before."""
        before, self.raw_refusal = self.raw_refusal, refusal
        try:
            yield
        finally:
            self.raw_refusal = before

    def exempt(self, engine: AsyncEngine, *, of_tests: bool = False) -> None:
        """Let one of the harness's own engines connect to the address it was made with; `of_tests`, if tests get it."""
        self._harness_dialects.add(engine.sync_engine.dialect)
        if of_tests:
            self._tests_dialects.add(engine.sync_engine.dialect)

    def is_of_test(self, connection: Connection) -> bool:
        """Whether a connection is the application's or the test's, and not one by which the harness does its work."""
        return connection.dialect not in self._harness_dialects or connection.dialect in self._tests_dialects

    async def empty_pools(self) -> None:
        """Close the idle connections of the application's engines: their next ones go where `to` sends them."""
        for engine in list(self._engines):
            if engine.dialect.is_async:
                await AsyncEngine(engine).dispose()
            else:
                engine.dispose()

    def engine_connect(self, connection: Connection) -> None:
        """Listen to SQLAlchemy's event of that name."""
        if connection.dialect.name == "postgresql" and connection.dialect not in self._harness_dialects:
            self._engines.add(connection.engine)

    def do_connect(self, dialect: Dialect, record: object, args: list[Any], options: dict[str, Any]) -> None:
        """Listen to SQLAlchemy's event of that name; databases other than PostgreSQL are left alone."""
        if dialect.name != "postgresql":
            return
        is_of_harness = dialect in self._harness_dialects
        if dialect.driver in self._patches.drivers:
            options[ASKED_BY] = HARNESS if is_of_harness else APPLICATION
        if not is_of_harness:
            own_args, own_options = address(self.database(), dialect.driver)
            args[:] = own_args
            for name in ADDRESS & options.keys():
                del options[name]
            options.update(own_options)

    def ask(self, driver: str, connect: Connect, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Decide about a connection that a driver is asked for, as `drivers.Policy` says."""
        asked_by = options.pop(ASKED_BY, None)
        if asked_by == HARNESS:
            return connect(*arguments, **options)
        pool = "sqlalchemy" if asked_by == APPLICATION else pool_that_asks()
        if pool == "sqlalchemy":
            return self.pooled(driver, connect, arguments, options)
        if pool is None:
            self.refuse_by_hand(driver)
        return self.redirected(driver, connect, arguments, options)

    def see(self, connection: Any) -> None:
        """Hear of the connection that came of it."""
        self._backstop.pass_over(connection)

    def redirected(self, driver: str, connect: Connect, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Connect to the test's database, whatever address the caller wanted."""
        own_arguments, own_options = address(self.database(), driver)
        return connect(*own_arguments, **options_of(driver, arguments, options), **own_options)

    def refuse_by_hand(self, driver: str) -> None:
        """Raise if nobody but SQLAlchemy may have a connection now."""
        if self.raw_refusal is not None:
            raise IsolationError(f"{driver} was asked for a connection by hand{self.place()}. {self.raw_refusal}")
        self.database()

    def database(self) -> URL:
        """The database of the test that runs; raises `NoTestDatabaseError` without one."""
        if self._database is None:
            raise NoTestDatabaseError(NO_DATABASE.format(self.place()))
        return self._database

    def is_current(self, name: str) -> bool:
        """Whether a database is the one where connections go."""
        return self._database is not None and self._database.database == name

    def place(self) -> str:
        """Where in the project this was called from, in brackets after a space; "" if that is not known."""
        place = place_of_call(self.root)
        return f" ({place})" if place else ""


# Of the process, since it listens before there is a run.
OF_PROCESS = Redirect()
REDIRECT = pytest.StashKey[Redirect]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.stash[REDIRECT] = OF_PROCESS
    OF_PROCESS.root = config.rootpath
    OF_PROCESS.listen()


def pytest_unconfigure(config: pytest.Config) -> None:
    OF_PROCESS.stop()


@pytest.fixture(scope="session")
def redirect(pytestconfig: pytest.Config) -> Redirect:
    """Where the process's connections go."""
    return pytestconfig.stash[REDIRECT]
