"""No other database: every SQLAlchemy connection of the test process goes to the test's own database.

An application opens connections in more places than its `get_db`: a lifespan, a health check, a script with an
engine of its own and whatever URL a `.env` file names. A `do_connect` listener on the class `Engine` sees them all,
those of engines made before it too. It keeps the driver and its options, replaces the address, and refuses while
there is no database.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

import pytest
from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine

# Everything that says where to connect, as whom, and how to trust it, in the words of asyncpg, psycopg, psycopg2
# and pg8000.
ADDRESS = {"dsn", "host", "hostaddr", "port", "user", "password", "passfile", "passwd", "database", "dbname", "service"}
ADDRESS |= {"unix_sock", "options", "target_session_attrs", "ssl", "ssl_context", "sslmode", "sslrootcert", "sslcert"}
ADDRESS |= {"sslkey", "direct_tls", "gssencmode", "channel_binding"}


class NoTestDatabaseError(Exception):
    """A connection was asked for where no test database is in use."""


class Redirect:
    """Where connections of this process go: the database of the test that runs, or nowhere."""

    def __init__(self) -> None:
        self._database: URL | None = None
        self._harness_dialects: WeakSet[Dialect] = WeakSet()
        self._tests_dialects: WeakSet[Dialect] = WeakSet()
        self._engines: WeakSet[Engine] = WeakSet()

    @property
    def database(self) -> URL | None:
        """Where connections go now."""
        return self._database

    @contextmanager
    def to(self, database: URL) -> Iterator[None]:
        """Send every connection to `database` until the block ends; then to where they went before."""
        before, self._database = self._database, database
        try:
            yield
        finally:
            self._database = before

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
        if dialect.name != "postgresql" or dialect in self._harness_dialects:
            return
        if self._database is None:
            raise NoTestDatabaseError(
                "a connection to PostgreSQL was asked for, and no test database is in use. In a test, ask for "
                "`client`, `db_session` or `engine`; code that connects when imported has to wait for the lifespan."
            )
        address = self._database.set(drivername=f"postgresql+{dialect.driver}")
        own_args, own_options = dialect.create_connect_args(address)
        args[:] = own_args
        for name in ADDRESS & options.keys():
            del options[name]
        options.update(own_options)


REDIRECT = pytest.StashKey[Redirect]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.stash[REDIRECT] = redirect = Redirect()
    event.listen(Engine, "do_connect", redirect.do_connect)
    event.listen(Engine, "engine_connect", redirect.engine_connect)


def pytest_unconfigure(config: pytest.Config) -> None:
    redirect = config.stash[REDIRECT]
    event.remove(Engine, "do_connect", redirect.do_connect)
    event.remove(Engine, "engine_connect", redirect.engine_connect)


@pytest.fixture(scope="session")
def redirect(pytestconfig: pytest.Config) -> Redirect:
    """Where the process's connections go."""
    return pytestconfig.stash[REDIRECT]
