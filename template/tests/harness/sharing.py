"""Which engines can share the connection of a savepoint test, and what they get instead of one of their own."""

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from sqlalchemy.engine import Dialect

from .proxy_asyncpg import AsyncpgProxy
from .proxy_psycopg import psycopg_proxy
from .raw_connection import Driver
from .shared import SharedConnection

Creator = Callable[..., Awaitable[Any]]


def why_not(dialect: Dialect, shared: SharedConnection) -> str | None:
    """Why an engine of this dialect, which connects here and now, cannot share the connection; None if it can."""
    if not dialect.is_async:
        return (
            f"a synchronous engine ({dialect.driver}) connects in a savepoint test, and cannot share the test's "
            "connection."
        )
    if dialect.driver not in ("asyncpg", "psycopg"):
        return f"an engine on {dialect.driver} connects in a savepoint test, which can share asyncpg's and psycopg's."
    if shared.loop is not asyncio.get_running_loop():
        return "an engine connects in another thread or event loop than the test's, and cannot share its connection."
    connection = shared.transactions.connection
    if connection is not None and shared.transactions.is_open and connection.driver != dialect.driver:
        return f"engines on {connection.driver} and on {dialect.driver} connect in one savepoint test."
    return None


def proxied(dialect: Dialect, shared: SharedConnection, creator: Creator | None) -> Creator:
    """What SQLAlchemy calls for a connection of the driver, instead of `creator` or the driver's own."""
    driver: Driver = "asyncpg" if dialect.driver == "asyncpg" else "psycopg"

    async def create(*arguments: Any, **options: Any) -> Any:
        async def connect() -> Any:
            if driver == "asyncpg":
                return await (creator or import_module("asyncpg").connect)(*arguments, **options)
            raw = await (creator or import_module("psycopg").AsyncConnection.connect)(*arguments, **options)
            # What begins and ends transactions are the statements of `SharedConnection`.
            await raw.set_autocommit(True)
            return raw

        await shared.connect(driver, connect)
        return AsyncpgProxy(shared) if driver == "asyncpg" else psycopg_proxy(shared)

    return create
