"""Redirects every PostgreSQL connection of the test process to the test's database.

An application connects in more places than `get_db`: in its lifespan, in a health check, in a script that reads a URL
from a `.env` file. A `do_connect` listener on the class `Engine` covers all of SQLAlchemy's engines, including those
that exist already; `drivers` covers `creator=` and direct connections. The driver and its options are kept, and the
address is replaced. Without a test database, a connection is refused. In a savepoint test, engines get the shared
connection; an engine that cannot share it is refused. See `lifespan_connections` for tasks of the lifespan.
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
from ..transaction.logical_connection import IN_MIGRATION
from ..transaction.refusals import NO_DATABASE, IsolationError, NoTestDatabaseError
from . import driver_pools, drivers
from .database_name import DatabaseCheck
from .drivers import ADDRESS, HARNESS, REQUESTED_BY, SHARES, Connect, Patches, Requester, address
from .lifespan_connections import LifespanConnections
from .session_settings import Options, with_settings
from .shared_connections import SharedConnections
from .sharing import proxy_creator, synchronous_proxy


class Redirect(SharedConnections):
    """Redirects connections of this process to the database of the current test, or refuses them.

    Attributes:
        direct_refusal: why direct connections are refused; None if they go to the test's database.
        engine_refusal: returns the error for an engine that cannot share the connection; None lets it connect.
        is_shared: whether engines share one connection.
        has_separate_connection: whether the lifespan opened connections during startup that are not shared.
        is_listening: whether connections are redirected.
        root, role: the project's folder, and the role to which each connection changes.
    """

    def __init__(self) -> None:
        self.direct_refusal: str | None = None
        self.engine_refusal: Callable[[str], Exception | None] = IsolationError
        super().__init__()
        self.is_shared = self.has_separate_connection = self.is_listening = False
        self.root, self.role = FOLDER.parents[1], ""
        self.events = EngineEvents(lambda: place_of_call(self.root))
        self._database: URL | None = None
        self._patches, self._database_check = Patches(), DatabaseCheck(self)
        self._of_lifespan = LifespanConnections(self)
        self._listeners: list[tuple[Any, str, Callable[..., None]]] = [
            (Engine, "do_connect", self.do_connect),
            (Engine, "engine_connect", self.engines.engine_connect),
            (Pool, "connect", self._database_check.connect),
            (Pool, "checkout", self._of_lifespan.checked_out),
            *self.events.listeners(),
        ]

    def listen(self, *, is_late: bool = False) -> None:
        """Redirect all connections from now on; if it is late, the application may have created engines already."""
        if not self.is_listening:
            if is_late:
                self.engines.find()
            self.is_listening = True
            for target, name, function in self._listeners:
                event.listen(target, name, function)
            self._patches.apply(self)
            driver_pools.apply(self._patches.replace, self)
            self._of_lifespan.kept.apply(self._patches.replace)
            self.engines.record(self._is_made_by_test)

    def stop(self, *, is_for_good: bool = True) -> None:
        """Redirect no more connections; engines are still recorded if it is not for good."""
        if is_for_good:
            self.engines.stop_recording()
        if self.is_listening:
            self.is_listening = False
            self._patches.undo()
            for target, name, function in self._listeners:
                event.remove(target, name, function)

    @contextmanager
    def to(self, database: URL, *, is_shared: bool = False) -> Iterator[None]:
        """Redirect every connection to `database` in the block."""
        before = self._database, self.is_shared
        self._database, self.is_shared = database, is_shared
        try:
            yield
        finally:
            self._database, self.is_shared = before

    @contextmanager
    def refusing(self, refusal: str | None) -> Iterator[None]:
        """Refuse direct connections in the block, or with None redirect them; restore the state before."""
        before, self.direct_refusal = self.direct_refusal, refusal
        try:
            yield
        finally:
            self.direct_refusal = before

    def do_connect(self, dialect: Dialect, record: object, args: list[Any], options: dict[str, Any]) -> None:
        """Listener of SQLAlchemy's event; databases other than PostgreSQL are ignored."""
        if dialect.name != "postgresql":
            return
        is_patched = dialect.driver in self._patches.drivers
        if (url := self.engines.url_of_harness(dialect)) is not None:
            args[:], own_options = address(url, dialect.driver)
            options |= own_options | ({REQUESTED_BY: HARNESS} if is_patched else {})
            return
        given = dict(options.get(REQUESTED_BY, options))
        options.clear()
        options |= {name: value for name, value in given.items() if name not in ADDRESS}
        options |= {REQUESTED_BY: given} if is_patched else {}
        self.isolate_if_needed(is_async=dialect.is_async)
        args[:], own_options = address(self.database(), dialect.driver)
        must_share = self._must_share(dialect.driver, is_async=dialect.is_async)
        options |= self._with_settings(dialect.driver, options, own_options, must_share)
        if must_share and not dialect.is_async:
            # `intercept` returns the proxy.
            options[SHARES] = True
        elif must_share:
            creator = options.pop("async_creator_fn", None)
            options["async_creator_fn"] = proxy_creator(dialect.driver, self.shared, creator)

    def intercept(self, driver: str, connect: Connect, arguments: tuple[Any, ...], options: Options) -> Any:
        """As in `drivers.Policy`."""
        requested_by, shares = options.pop(REQUESTED_BY, None), options.pop(SHARES, False)
        if requested_by == HARNESS:
            return connect(*arguments, **options)
        pool = "sqlalchemy" if requested_by is not None else drivers.requesting_pool()
        if pool is None:
            self.refuse_direct(driver)
        is_async = iscoroutinefunction(connect)
        self.isolate_if_needed(is_async=is_async)
        own_arguments, own_options = address(self.database(), driver)
        # With `creator=`, the event `do_connect` is not called.
        is_creator = pool == "sqlalchemy" and requested_by is None
        must_share = shares or (is_creator and self._must_share(driver, is_async=is_async))
        options = self._with_settings(driver, drivers.options_of(driver, arguments, options), own_options, must_share)
        if must_share and not is_async:
            return synchronous_proxy(driver, self.synchronous, connect, own_arguments, options)
        if must_share:
            return proxy_creator(driver, self.shared, connect)(*own_arguments, **options)
        self.has_separate_connection |= self.shared.transactions.mode == "seeding"
        return connect(*own_arguments, **options)

    @property
    def requester(self) -> Requester:
        """As in `drivers.Policy`."""
        return self._of_lifespan.requester

    def opened(self, connection: Any, requester: Requester) -> None:
        """As in `drivers.Policy`."""
        self._of_lifespan.opened(connection, requester)
        self._database_check.skip(connection)

    def refuse_direct(self, driver: str) -> None:
        """Raise if direct connections are refused; to a task of the lifespan, they are not."""
        if self.direct_refusal is not None and not self._of_lifespan.is_in_task:
            where = f"directly from {driver}{self.place()}"
            raise IsolationError(f"A connection was requested {where}. {self.direct_refusal}")
        self.database()

    def database(self) -> URL:
        """The test's database, with libpq's parameters; raises `NoTestDatabaseError` if there is none."""
        if self._database is None:
            raise NoTestDatabaseError(NO_DATABASE.format(self.place()))
        return self._database

    def is_current(self, name: str) -> bool:
        """Whether this is the name of the test's database."""
        return self._database is not None and self._database.database == name

    def place(self) -> str:
        """The calling place in the project, in parentheses after a space; "" if it is unknown."""
        return f" ({place})" if (place := place_of_call(self.root)) else ""

    def _with_settings(self, driver: str, options: Options, own: Options, must_share: bool) -> Options:
        is_read_only, role = self._of_lifespan.is_read_only(must_share), "" if IN_MIGRATION.get() else self.role
        return self._of_lifespan.options(driver, with_settings(driver, options, own, is_read_only, role), must_share)

    def _is_made_by_test(self) -> bool:
        is_late = self._database is not None and self.shared.transactions.mode != "seeding"
        return is_late or (self.root / (place_of_call(self.root) or "")).is_relative_to(FOLDER.parent)

    def _must_share(self, driver: str, *, is_async: bool) -> bool:
        if not self.is_shared:
            return False
        if (why := self.sharing_error(driver, is_async=is_async)) is None or self._of_lifespan.is_in_task:
            return why is None
        if self.shared.transactions.mode == "seeding":
            self.has_separate_connection = True
        elif (error := self.engine_refusal(why)) is not None:
            raise error
        return False
