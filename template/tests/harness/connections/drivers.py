"""Connections that are asked of a driver by hand, and not through SQLAlchemy: to the test's own database, or refused.

`asyncpg.connect`, `psycopg.connect` and `psycopg2.connect` are replaced while the harness listens: whoever takes them
from their modules later gets what stands here.
"""

import functools
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from inspect import iscoroutinefunction
from types import FrameType
from typing import Any, Literal, Protocol
from urllib.parse import parse_qsl, urlsplit

from sqlalchemy import URL
from sqlalchemy.engine import Dialect

from ..postgres.server import HarnessConnection

# Everything that says where to connect, as whom, and how to trust it, in the words of asyncpg, psycopg, psycopg2
# and pg8000.
ADDRESS = {"dsn", "host", "hostaddr", "port", "user", "password", "passfile", "passwd", "database", "dbname", "service"}
ADDRESS |= {"unix_sock", "target_session_attrs", "ssl", "ssl_context", "sslmode", "sslrootcert", "sslcert"}
ADDRESS |= {"sslkey", "direct_tls", "gssencmode", "channel_binding", "servicefile", "sslnegotiation", "sslcrl"}
ADDRESS |= {"sslpassword", "ssl_min_protocol_version", "ssl_max_protocol_version", "krbsrvname", "gsslib"}

# An option by which `redirect` says of a connection of SQLAlchemy's what is to become of it: it is the harness's own,
# or the application's, whose options it then holds. Before 2.1, SQLAlchemy keeps what a listener has made of them.
HARNESS = "harness"
ASKED_BY = "savepoint_asked_by"

# They fill themselves when they like; what they hand out is `driver_pools`' to say.
POOLS = ("asyncpg.pool", "psycopg_pool", "psycopg2.pool")

Connect = Callable[..., Any]


class Policy(Protocol):
    """What stands between a driver and who asks it for a connection."""

    def ask(self, driver: str, connect: Connect, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Return what `connect` does, a connection or a coroutine, or raise."""

    def see(self, connection: Any) -> None:
        """Hear of the connection that came of it."""


def address(url: URL, driver: str) -> tuple[list[Any], dict[str, Any]]:
    """The arguments by which a driver connects to `url`."""
    query = dict(url.query)
    if driver != "asyncpg" and (mode := query.pop("ssl", None)):
        query["sslmode"] = mode
    arguments, options = _dialect(driver).create_connect_args(url.set(query=query))
    return list(arguments), dict(options)


@functools.cache
def _dialect(driver: str) -> Dialect:
    return URL.create(f"postgresql+{driver}").get_dialect()()


def options_of(driver: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    """What a caller wants of a connection beside its address, be it said by options or in a string."""
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


def pool_that_asks() -> Literal["sqlalchemy", "driver"] | None:
    """Whose pool a connection is for: SQLAlchemy's, by `creator=` or `async_creator=`, or one of the driver's own."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if module.startswith(POOLS):
            return "driver"
        # A coroutine that SQLAlchemy's pool waits for runs below `greenlet_spawn`; the pool is in another greenlet.
        waits = frame.f_code.co_name == "greenlet_spawn" and module.startswith("sqlalchemy.")
        if waits or module.startswith("sqlalchemy.pool"):
            return "sqlalchemy"
        frame = frame.f_back
    return None


class Patches:
    """What is replaced in the drivers that are installed, until it is put back.

    Attributes:
        drivers: their names.
    """

    def __init__(self) -> None:
        self.drivers: set[str] = set()
        self._undo: list[Callable[[], None]] = []

    def apply(self, policy: Policy) -> None:
        """Let `policy` decide about each connection."""
        with suppress(ImportError):
            asyncpg = import_module("asyncpg")
            connect = _asking("asyncpg", asyncpg.connect, policy)
            # In the second its pools find it.
            for module in (asyncpg, import_module("asyncpg.connection")):
                self.replace(module, "connect", connect)
            self.drivers.add("asyncpg")
        with suppress(ImportError):
            psycopg = import_module("psycopg")
            for of_psycopg in (psycopg.Connection, psycopg.AsyncConnection):
                self.replace(of_psycopg, "connect", _asking_method(vars(of_psycopg)["connect"].__func__, policy))
            self.replace(psycopg, "connect", psycopg.Connection.connect)
            self.drivers |= {"psycopg", "psycopg_async"}
        with suppress(ImportError):
            psycopg2 = import_module("psycopg2")
            self.replace(psycopg2, "connect", _asking("psycopg2", psycopg2.connect, policy))
            self.drivers.add("psycopg2")

    def replace(self, owner: Any, name: str, value: Any) -> None:
        """Set an attribute of a module or a class, until `undo`."""
        self._undo.append(functools.partial(setattr, owner, name, vars(owner)[name]))
        setattr(owner, name, value)

    def undo(self) -> None:
        """Put everything back."""
        while self._undo:
            self._undo.pop()()
        self.drivers.clear()


def _asking(driver: str, connect: Connect, policy: Policy) -> Connect:
    @functools.wraps(connect)
    async def ask(*arguments: Any, **options: Any) -> Any:
        connection = await policy.ask(driver, connect, arguments, options)
        policy.see(connection)
        return connection

    @functools.wraps(connect)
    def ask_and_wait(*arguments: Any, **options: Any) -> Any:
        connection = policy.ask(driver, connect, arguments, options)
        policy.see(connection)
        return connection

    return ask if iscoroutinefunction(connect) else ask_and_wait


def _asking_method(connect: Connect, policy: Policy) -> Any:
    @functools.wraps(connect)
    def ask(cls: type, *arguments: Any, **options: Any) -> Any:
        of_class = functools.wraps(connect)(functools.partial(connect, cls))
        if issubclass(cls, HarnessConnection):
            return of_class(*arguments, **options)
        return _asking("psycopg", of_class, policy)(*arguments, **options)

    return classmethod(ask)
