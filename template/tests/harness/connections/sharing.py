"""Which engines can share the connection of a savepoint test, and the proxies that they get."""

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from ..transaction.asyncpg_proxy import AsyncpgProxy
from ..transaction.psycopg_proxy import psycopg_proxy
from ..transaction.raw_connection import Driver
from ..transaction.shared_connection import SharedConnection
from . import starlette_testclient as testclient
from .drivers import HARNESS, REQUESTED_BY
from .session_settings import without_transaction_timeouts

Creator = Callable[..., Awaitable[Any]]


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


def _name(driver: str) -> Driver:
    return "asyncpg" if driver == "asyncpg" else "psycopg"
