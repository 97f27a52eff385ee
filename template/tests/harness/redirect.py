"""No other database: every SQLAlchemy connection of the test process goes to the test's own database.

An application opens connections in more places than its `get_db`: a lifespan, a health check, a script with an
engine of its own and whatever URL a `.env` file names. A `do_connect` listener on the class `Engine` sees them all,
those of engines made before it too. It keeps the driver and its options, and replaces the address. In a savepoint test
what it hands out is the shared connection; what cannot share it is refused, and so is everything while there is no
database.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet, ref

import pytest
from sqlalchemy import URL, Connection, Engine, Pool, event
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine

from .engine_events import EngineEvents
from .places import place_of_call
from .refusals import IsolationError, Refusals
from .shared import SharedConnection
from .sharing import proxied, why_not
from .transactions import Transactions

# Everything that says where to connect, as whom, and how to trust it, in the words of asyncpg, psycopg, psycopg2
# and pg8000.
ADDRESS = {"dsn", "host", "hostaddr", "port", "user", "password", "passfile", "passwd", "database", "dbname", "service"}
ADDRESS |= {"unix_sock", "target_session_attrs", "ssl", "ssl_context", "sslmode", "sslrootcert", "sslcert"}
ADDRESS |= {"sslkey", "direct_tls", "gssencmode", "channel_binding"}

# How long a connection of the application or of a test waits for a lock. Whoever holds it is in the same test.
LOCK_TIMEOUT_MS = 10_000


class NoTestDatabaseError(Exception):
    """A connection was asked for where no test database is in use."""


@dataclass
class Made:
    """An engine, where in the project it was made, and whether a test made it, or what is imported for tests."""

    engine: "ref[Engine]"
    place: str
    is_of_test: bool


@dataclass
class Redirect:
    """Where connections of this process go: the database of the test that runs, or nowhere.

    Attributes:
        refusals: what was refused in the test that runs.
        shared: the connection of savepoint tests.
        is_shared: whether engines are to share it, and not to connect to the database.
        other: what to raise for a connection that cannot share it; None lets it pass.
        has_connected_apart: whether the lifespan, while it started, had connections that it did not share.
        made: the engines that were made in this process, in their order.
    """

    refusals: Refusals = field(default_factory=Refusals)
    shared: SharedConnection = field(init=False)
    is_shared: bool = False
    other: Callable[[str], Exception | None] = IsolationError
    has_connected_apart: bool = False
    made: list[Made] = field(default_factory=list)
    _database: URL | None = None
    _harness_dialects: "WeakSet[Dialect]" = field(default_factory=WeakSet)
    _connected: "WeakSet[Engine]" = field(default_factory=WeakSet)

    def __post_init__(self) -> None:
        self.shared = SharedConnection(Transactions(self.refusals))

    @contextmanager
    def to(self, database: URL, *, is_shared: bool) -> Iterator[None]:
        """Send every connection to `database` until the block ends; then to where they went before."""
        before = self._database, self.is_shared
        self._database, self.is_shared = database, is_shared
        try:
            yield
        finally:
            self._database, self.is_shared = before

    @property
    def database_name(self) -> str | None:
        """Of the database that connections go to."""
        return None if self._database is None else self._database.database

    def exempt(self, engine: AsyncEngine) -> None:
        """Let one of the harness's own engines connect to the address it was made with."""
        self._harness_dialects.add(engine.sync_engine.dialect)

    def engine(self) -> Engine | None:
        """The application's own: the first asynchronous one for PostgreSQL that it has made by itself."""
        for is_of_test in (False, True):
            for made in self.made:
                engine = made.engine()
                is_wanted = engine is not None and self._is_of_project(engine) and engine.dialect.is_async
                if is_wanted and made.is_of_test == is_of_test:
                    return engine
        return None

    def note(self, engine: Engine, place: str | None) -> None:
        """An engine was made."""
        is_early = self.shared.transactions.mode == "seeding" or self._database is None
        self.made.append(Made(ref(engine), place or "", not is_early or (place or "").startswith("tests/")))

    def new_pools(self) -> list[tuple[Pool, bool]]:
        """Let the application's engines connect anew, to where `to` sends them.

        Returns:
            The pools that they had, and whether each is asynchronous; their idle connections are still open.
        """
        made = [engine for made in self.made if (engine := made.engine()) is not None]
        engines = [engine for engine in {*made, *self._connected} if self._is_of_project(engine)]
        pools = {engine.pool: engine.dialect.is_async for engine in engines}
        for engine in engines:
            engine.dispose(close=False)
        return list(pools.items())

    def engine_connect(self, connection: Connection) -> None:
        """Listen to SQLAlchemy's event of that name."""
        engine = connection.engine
        if connection.dialect.name == "postgresql" and connection.dialect not in self._harness_dialects:
            self._connected.add(engine)

    def do_connect(self, dialect: Dialect, record: object, args: list[Any], options: dict[str, Any]) -> None:
        """Listen to SQLAlchemy's event of that name; databases other than PostgreSQL are left alone."""
        if dialect.name != "postgresql" or dialect in self._harness_dialects:
            return
        self.shared.isolate_if_demanded()
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
        _limit_lock_waits(dialect.driver, options)
        if not self.is_shared:
            return
        if (why := why_not(dialect, self.shared)) is None:
            options["async_creator_fn"] = proxied(dialect, self.shared, options.pop("async_creator_fn", None))
        elif self.shared.transactions.mode == "seeding":
            self.has_connected_apart = True
        elif (error := self.other(why)) is not None:
            raise error

    def _is_of_project(self, engine: Engine) -> bool:
        return engine.dialect.name == "postgresql" and engine.dialect not in self._harness_dialects


def _limit_lock_waits(driver: str, options: dict[str, Any]) -> None:
    if driver == "asyncpg":
        settings = options.get("server_settings") or {}
        options["server_settings"] = {"lock_timeout": str(LOCK_TIMEOUT_MS), **settings}
    elif driver.startswith("psycopg"):
        options["options"] = f"-c lock_timeout={LOCK_TIMEOUT_MS} {options.get('options', '')}".strip()


REDIRECT = pytest.StashKey[Redirect]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    events = config.stash[EVENTS] = EngineEvents(config.rootpath)
    config.stash[REDIRECT] = redirect = Redirect()
    listeners: list[tuple[type, str, Callable[..., None]]] = [
        (Engine, "do_connect", redirect.do_connect),
        (Engine, "engine_connect", redirect.engine_connect),
        *events.listeners(),
    ]
    for target, name, function in listeners:
        event.listen(target, name, function)
        config.add_cleanup(functools.partial(event.remove, target, name, function))
    # No event says that an engine was made.
    init = Engine.__init__

    @functools.wraps(init)
    def init_and_note(self: Engine, *arguments: Any, **options: Any) -> None:
        init(self, *arguments, **options)
        redirect.note(self, place_of_call(config.rootpath))

    Engine.__init__ = init_and_note  # type: ignore[method-assign]
    config.add_cleanup(lambda: setattr(Engine, "__init__", init))


EVENTS = pytest.StashKey[EngineEvents]()


@pytest.fixture(scope="session")
def redirect(pytestconfig: pytest.Config) -> Redirect:
    """Where the process's connections go."""
    return pytestconfig.stash[REDIRECT]
