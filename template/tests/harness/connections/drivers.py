"""Direct connections, which the application requests from a driver and not from SQLAlchemy: redirected or refused.

`asyncpg.connect`, `psycopg.connect` and `psycopg2.connect` are replaced while the harness listens. A reference that was
imported before still calls the original function.
"""

import functools
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from inspect import iscoroutinefunction
from types import FrameType
from typing import Any, Literal, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

from sqlalchemy import URL
from sqlalchemy.engine import Dialect

from ..postgres.server import HarnessConnection

# Names of the options for address, user and TLS in asyncpg, psycopg, psycopg2 and pg8000.
ADDRESS = {"dsn", "host", "hostaddr", "port", "user", "password", "passfile", "passwd", "database", "dbname", "service"}
ADDRESS |= {"unix_sock", "target_session_attrs", "ssl", "ssl_context", "sslmode", "sslrootcert", "sslcert"}
ADDRESS |= {"sslkey", "direct_tls", "gssencmode", "channel_binding", "servicefile", "sslnegotiation", "sslcrl"}
ADDRESS |= {"sslpassword", "ssl_min_protocol_version", "ssl_max_protocol_version", "krbsrvname", "gsslib"}

# libpq's parameters in asyncpg's connection strings; it has no equivalent for the others, such as channel_binding.
DSN_OF_ASYNCPG = {"sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "sslnegotiation"}
DSN_OF_ASYNCPG |= {"ssl_min_protocol_version", "ssl_max_protocol_version", "target_session_attrs", "krbsrvname"}
DSN_OF_ASYNCPG |= {"gsslib", "options"}

# An option that `redirect` adds to connections of SQLAlchemy: HARNESS, or the original options of the application's
# connection. They are needed again, since SQLAlchemy before 2.1 reuses options that a listener has modified.
HARNESS = "harness"
REQUESTED_BY = "savepoint_requested_by"
# The same, for a synchronous engine that gets a proxy on the shared connection.
SHARES = "savepoint_shares"

# These pools connect in the background; `driver_pools` checks the connections that they return.
POOLS = ("asyncpg.pool", "psycopg_pool", "psycopg2.pool")

Connect = Callable[..., Any]
# Who requests a connection: the startup of the lifespan; a task of the lifespan in a savepoint test, or code outside of
# tests; or other code.
Requester = Literal["startup", "task", "other"]


class Policy(Protocol):
    """Decides about each connection that is requested from a driver."""

    def intercept(self, driver: str, connect: Connect, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Return the result of `connect`, a connection or a coroutine, or raise."""

    @property
    def requester(self) -> Requester:
        """Who requests a connection now."""

    def opened(self, connection: Any, requester: Requester) -> None:
        """Called with the new connection, and with who requested it."""


def address(url: URL, driver: str) -> tuple[list[Any], dict[str, Any]]:
    """The arguments with which a driver connects to `url`, whose query has libpq's parameters."""
    parameters: dict[str, Any] = dict(url.query)
    if driver == "asyncpg":
        query: dict[str, Any] = {name: parameters[name] for name in ("host", "port") if name in parameters}
        # It has no `hostaddr`. A certificate is for the name.
        address = parameters.get("hostaddr") if parameters.get("sslmode") != "verify-full" else None
        url = url.set(host=address or url.host, query=query)
    arguments, options = _dialect(driver).create_connect_args(url)
    return list(arguments), {**options, **(_of_asyncpg(parameters) if driver == "asyncpg" else {})}


def _of_asyncpg(parameters: dict[str, Any]) -> dict[str, Any]:
    """libpq's parameters as options of asyncpg, which accepts most of them only in a connection string."""
    given = {name: value for name, value in parameters.items() if name in DSN_OF_ASYNCPG}
    options: dict[str, Any] = {"dsn": f"postgresql://?{urlencode(given)}"} if given else {}
    if "connect_timeout" in parameters:
        seconds = float(parameters["connect_timeout"])
        # libpq's 0 is no limit.
        options["timeout"] = seconds if seconds > 0 else None
    return options


@functools.cache
def _dialect(driver: str) -> Dialect:
    return URL.create(f"postgresql+{driver}").get_dialect()()


def options_of(driver: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    """The options of a connection without its address, from keyword arguments and from the connection string."""
    given = dict(options)
    text = arguments[0] if arguments else given.pop("conninfo", given.get("dsn"))
    in_text: dict[str, Any] = {}
    if driver == "asyncpg":
        settings = {name: value for name, value in parse_qsl(urlsplit(text or "").query) if name not in ADDRESS}
        if settings:
            given["server_settings"] = settings | (given.get("server_settings") or {})
    elif driver == "psycopg2":
        in_text = import_module("psycopg2.extensions").parse_dsn(text or "")
        given |= zip(("connection_factory", "cursor_factory"), arguments[1:], strict=False)
    else:
        in_text = import_module("psycopg.conninfo").conninfo_to_dict(text or "")
    return {name: value for name, value in {**in_text, **given}.items() if name not in ADDRESS}


def requesting_pool() -> Literal["sqlalchemy", "driver"] | None:
    """The pool that requests a connection: SQLAlchemy's, by `creator=` or `async_creator=`, or the driver's own."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if module.startswith(POOLS):
            return "driver"
        # SQLAlchemy's pool is in another greenlet: a coroutine that it awaits runs below `greenlet_spawn`.
        waits = frame.f_code.co_name == "greenlet_spawn" and module.startswith("sqlalchemy.")
        if waits or module.startswith("sqlalchemy.pool"):
            return "sqlalchemy"
        frame = frame.f_back
    return None


class Patches:
    """Attributes of installed drivers that are replaced, until `undo`.

    Attributes:
        drivers: the names of the patched drivers.
    """

    def __init__(self) -> None:
        self.drivers: set[str] = set()
        self._undo: list[Callable[[], None]] = []

    def apply(self, policy: Policy) -> None:
        """Let `policy` decide about each connection."""
        with suppress(ImportError):
            asyncpg = import_module("asyncpg")
            connect = _intercepting("asyncpg", asyncpg.connect, policy)
            # asyncpg's pools call the function of the second module.
            for module in (asyncpg, import_module("asyncpg.connection")):
                self.replace(module, "connect", connect)
            self.drivers.add("asyncpg")
        with suppress(ImportError):
            psycopg = import_module("psycopg")
            for of_psycopg in (psycopg.Connection, psycopg.AsyncConnection):
                self.replace(of_psycopg, "connect", _intercepting_method(vars(of_psycopg)["connect"].__func__, policy))
            self.replace(psycopg, "connect", psycopg.Connection.connect)
            self.drivers |= {"psycopg", "psycopg_async"}
        with suppress(ImportError):
            psycopg2 = import_module("psycopg2")
            self.replace(psycopg2, "connect", _intercepting("psycopg2", psycopg2.connect, policy))
            self.drivers.add("psycopg2")

    def replace(self, owner: Any, name: str, value: Any) -> None:
        """Set an attribute of a module or a class, until `undo`."""
        self._undo.append(functools.partial(setattr, owner, name, vars(owner)[name]))
        setattr(owner, name, value)

    def undo(self) -> None:
        """Restore all attributes."""
        while self._undo:
            self._undo.pop()()
        self.drivers.clear()


def _intercepting(driver: str, connect: Connect, policy: Policy) -> Connect:
    @functools.wraps(connect)
    async def ask(*arguments: Any, **options: Any) -> Any:
        requester = _requester(policy, options)
        connection = await policy.intercept(driver, connect, arguments, options)
        policy.opened(connection, requester)
        return connection

    @functools.wraps(connect)
    def ask_and_wait(*arguments: Any, **options: Any) -> Any:
        requester = _requester(policy, options)
        connection = policy.intercept(driver, connect, arguments, options)
        policy.opened(connection, requester)
        return connection

    return ask if iscoroutinefunction(connect) else ask_and_wait


def _requester(policy: Policy, options: dict[str, Any]) -> Requester:
    return "other" if options.get(REQUESTED_BY) == HARNESS else policy.requester


def _intercepting_method(connect: Connect, policy: Policy) -> Any:
    @functools.wraps(connect)
    def ask(cls: type, *arguments: Any, **options: Any) -> Any:
        of_class = functools.wraps(connect)(functools.partial(connect, cls))
        if issubclass(cls, HarnessConnection):
            return of_class(*arguments, **options)
        return _intercepting("psycopg", of_class, policy)(*arguments, **options)

    return classmethod(ask)
