"""No other database: every connection of the test process to a PostgreSQL goes to the test's own database.

An application opens connections in more places than its `get_db`: a lifespan, a health check, a script with an
engine of its own and whatever URL a `.env` file names. A `do_connect` listener on the class `Engine` sees those of
SQLAlchemy's engines, made before it or after; `drivers` sees `creator=` and what is asked of a driver by hand. The
driver and its options are kept, the address is replaced, and without a database the connection is refused. In a
savepoint test, engines get the connection that they share, and what cannot share it is refused.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import iscoroutinefunction
from typing import Any

from sqlalchemy import URL, Engine, event
from sqlalchemy.engine import Dialect
from sqlalchemy.pool import Pool

from ..core.source_lines import HARNESS as FOLDER
from ..core.source_lines import place_of_call
from ..transaction.engine_events import EngineEvents
from ..transaction.refusals import NO_DATABASE, IsolationError, Refusals
from ..transaction.shared_connection import SharedConnection
from ..transaction.transactions import Transactions
from . import driver_pools
from .application_engines import Engines
from .database_name import Backstop
from .drivers import ADDRESS, ASKED_BY, HARNESS, Connect, Patches, address, options_of, pool_that_asks
from .session_settings import with_settings
from .sharing import proxied, why_not


class NoTestDatabaseError(Exception):
    """A connection was asked for where no test database is in use."""


class Redirect:
    """Where connections of this process go: the database of the test that runs, or nowhere.

    Attributes:
        raw_refusal: why a connection by hand would be wrong now; None if it goes to the test's database.
        other: what to raise for an engine that cannot share the connection of a savepoint test; None lets it pass.
        is_shared: whether engines share a connection, and do not have their own.
        has_connected_apart: whether the lifespan, while it started, had connections that it did not share.
        root: the project's folder.
    """

    def __init__(self) -> None:
        self.raw_refusal: str | None = None
        self.other: Callable[[str], Exception | None] = IsolationError
        self.is_shared = self.has_connected_apart = False
        self.root = FOLDER.parents[1]
        self.refusals = Refusals()
        self.shared = SharedConnection(Transactions(refusals=self.refusals))
        self.engines = Engines()
        self.events = EngineEvents(lambda: place_of_call(self.root))
        self._database: URL | None = None
        self._patches = Patches()
        self._backstop = Backstop(self)
        self._listeners: list[tuple[Any, str, Callable[..., None]]] = [
            (Engine, "do_connect", self.do_connect),
            (Engine, "engine_connect", self.engines.engine_connect),
            (Pool, "connect", self._backstop.connect),
            *self.events.listeners(),
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
            # No event says that an engine was made.
            self._patches.replace(Engine, "__init__", self.engines.noting(Engine.__init__, self._is_made_by_test))

    def stop(self) -> None:
        """Hear of none any more."""
        if self._is_listening:
            self._is_listening = False
            self._patches.undo()
            for target, name, function in self._listeners:
                event.remove(target, name, function)

    @contextmanager
    def to(self, database: URL, *, is_shared: bool = False) -> Iterator[None]:
        """Send every connection to `database` until the block ends; then to where they went before."""
        before = self._database, self.is_shared
        self._database, self.is_shared = database, is_shared
        try:
            yield
        finally:
            self._database, self.is_shared = before

    @contextmanager
    def refusing(self, refusal: str | None) -> Iterator[None]:
        """Refuse connections by hand until the block ends, or let them through; then as before."""
        before, self.raw_refusal = self.raw_refusal, refusal
        try:
            yield
        finally:
            self.raw_refusal = before

    def do_connect(self, dialect: Dialect, record: object, args: list[Any], options: dict[str, Any]) -> None:
        """Listen to SQLAlchemy's event of that name; databases other than PostgreSQL are left alone."""
        if dialect.name != "postgresql":
            return
        is_patched = dialect.driver in self._patches.drivers
        if self.engines.is_of_harness(dialect):
            options |= {ASKED_BY: HARNESS} if is_patched else {}
            return
        given = dict(options.get(ASKED_BY, options))
        options.clear()
        options |= {**given, ASKED_BY: given} if is_patched else given
        self.shared.isolate_if_demanded()
        own_args, own_options = address(self.database(), dialect.driver)
        args[:] = own_args
        for name in ADDRESS & options.keys():
            del options[name]
        options |= with_settings(dialect.driver, options, self._is_read_only) | own_options
        if self._is_to_be_shared(dialect.driver, is_async=dialect.is_async):
            creator = options.pop("async_creator_fn", None)
            options["async_creator_fn"] = proxied(dialect.driver, self.shared, creator)

    def ask(self, driver: str, connect: Connect, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Decide about a connection that a driver is asked for, as `drivers.Policy` says."""
        asked_by = options.pop(ASKED_BY, None)
        if asked_by == HARNESS:
            return connect(*arguments, **options)
        pool = "sqlalchemy" if asked_by is not None else pool_that_asks()
        if pool is None:
            self.refuse_by_hand(driver)
        self.shared.isolate_if_demanded()
        own_arguments, own_options = address(self.database(), driver)
        options = with_settings(driver, options_of(driver, arguments, options), self._is_read_only) | own_options
        # By `creator=`: `do_connect` does not hear of it.
        is_creator = pool == "sqlalchemy" and asked_by is None
        if is_creator and self._is_to_be_shared(driver, is_async=iscoroutinefunction(connect)):
            return proxied(driver, self.shared, connect)(*own_arguments, **options)
        self.has_connected_apart |= self.shared.transactions.mode == "seeding"
        return connect(*own_arguments, **options)

    def see(self, connection: Any) -> None:
        """Hear of the connection that came of it."""
        self._backstop.pass_over(connection)

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

    def _is_made_by_test(self) -> bool:
        is_late = self._database is not None and self.shared.transactions.mode != "seeding"
        return is_late or (place_of_call(self.root) or "").startswith("tests/")

    @property
    def _is_read_only(self) -> bool:
        # What a fixture of a wider scope writes would stay for all tests after it.
        return self.is_shared and self.shared.transactions.mode == "outside"

    def _is_to_be_shared(self, driver: str, *, is_async: bool) -> bool:
        if not self.is_shared:
            return False
        if (why := why_not(driver, self.shared, is_async=is_async)) is None:
            return True
        if self.shared.transactions.mode == "seeding":
            self.has_connected_apart = True
        elif (error := self.other(why)) is not None:
            raise error
        return False
