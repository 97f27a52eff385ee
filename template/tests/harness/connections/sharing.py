"""Which engines can share the connection of a savepoint test, and the proxies that they get."""

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from ..transaction.asyncpg_proxy import AsyncpgProxy
from ..transaction.psycopg_proxy import psycopg_proxy
from ..transaction.raw_connection import Driver
from ..transaction.shared_connection import SharedConnection
from ..transaction.synchronous_connection import SynchronousConnection
from . import starlette_testclient as testclient
from .drivers import HARNESS, REQUESTED_BY
from .session_settings import without_transaction_timeouts

Creator = Callable[..., Awaitable[Any]]

BOTH = "a synchronous and an asynchronous engine ({}) connect in a savepoint test, and cannot share a connection."


def sharing_error(driver: str, shared: SharedConnection, *, is_async: bool) -> str | None:
    """Why the engine that connects now cannot share the connection; None if it can."""
    if (refusal := testclient.refusal()) is not None:
        return refusal
    if not is_async:
        return f"a synchronous engine ({driver}) connects in a savepoint test, and cannot share the test's connection."
    if driver not in ("asyncpg", "psycopg", "psycopg_async"):
        return f"an engine on {driver} connects in a savepoint test; only asyncpg and psycopg can share its connection."
    if shared.loop is not asyncio.get_running_loop():
        return "an engine connects in another thread or event loop than the test's, and cannot share its connection."
    connection = shared.transactions.connection
    if connection is not None and shared.transactions.is_open and connection.driver != _name(driver):
        return f"engines on {connection.driver} and {_name(driver)} cannot share the connection of a savepoint test."
    return None


def synchronous_sharing_error(driver: str, shared: SynchronousConnection, *, is_async: bool) -> str | None:
    """The same in a synchronous application, whose engines share a synchronous connection in all threads."""
    if is_async:
        return BOTH.format(driver) if shared.transactions.is_in_transaction else None
    if driver not in ("psycopg", "psycopg2"):
        return (
            f"an engine on {driver} connects in a savepoint test; of the synchronous drivers, only psycopg and "
            "psycopg2 can share its connection."
        )
    connection = shared.transactions.connection
    if connection is not None and shared.transactions.is_open and connection.driver != driver:
        return f"engines on {connection.driver} and {driver} cannot share the connection of a savepoint test."
    return None


def proxy_creator(driver: str, shared: SharedConnection, creator: Creator | None) -> Creator:
    """A creator for SQLAlchemy that returns a proxy on the shared connection."""
    name = _name(driver)

    async def create(*arguments: Any, **options: Any) -> Any:
        async def connect() -> Any:
            asked = without_transaction_timeouts(name, options)
            asked |= {REQUESTED_BY: HARNESS} if creator is None else {}
            if name == "asyncpg":
                return await (creator or import_module("asyncpg").connect)(*arguments, **asked)
            raw = await (creator or import_module("psycopg").AsyncConnection.connect)(*arguments, **asked)
            # `SharedConnection` sends the statements that begin and end transactions.
            await raw.set_autocommit(True)
            return raw

        shared.transactions.raise_if_lost()
        await shared.connect(name, connect)
        return AsyncpgProxy(shared) if name == "asyncpg" else psycopg_proxy(shared)

    return create


def synchronous_proxy(
    driver: str,
    shared: SynchronousConnection,
    connect: Callable[..., Any],
    arguments: list[Any],
    options: dict[str, Any],
) -> Any:
    """A proxy on the shared connection, which `connect` opens if it is not open."""
    name: Driver = "psycopg2" if driver == "psycopg2" else "psycopg"

    def open_() -> Any:
        raw = connect(*arguments, **without_transaction_timeouts(name, options))
        # `SynchronousConnection` sends the statements that begin and end transactions.
        raw.autocommit = True
        return raw

    shared.transactions.raise_if_lost()
    shared.connect(name, open_)
    if name == "psycopg2":
        from ..transaction.psycopg2_proxy import Psycopg2Proxy

        return Psycopg2Proxy(shared)
    from ..transaction.psycopg_blocking_proxy import blocking_psycopg_proxy

    return blocking_psycopg_proxy(shared)


def _name(driver: str) -> Driver:
    return "asyncpg" if driver == "asyncpg" else "psycopg"
