"""Which engines can share the connection of a savepoint test, and what they get instead of one of their own."""

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from ..transaction.asyncpg_proxy import AsyncpgProxy
from ..transaction.psycopg_proxy import psycopg_proxy
from ..transaction.raw_connection import Driver
from ..transaction.shared_connection import SharedConnection
from . import starlette_testclient as testclient
from .drivers import ASKED_BY, HARNESS

Creator = Callable[..., Awaitable[Any]]


def why_not(driver: str, shared: SharedConnection, *, is_async: bool) -> str | None:
    """Why an engine on this driver, which connects here and now, cannot share the connection; None if it can."""
    if (refusal := testclient.refusal()) is not None:
        return refusal
    if not is_async:
        return f"a synchronous engine ({driver}) connects in a savepoint test, and cannot share the test's connection."
    if driver not in ("asyncpg", "psycopg", "psycopg_async"):
        return f"an engine on {driver} connects in a savepoint test, which can share asyncpg's and psycopg's."
    if shared.loop is not asyncio.get_running_loop():
        return "an engine connects in another thread or event loop than the test's, and cannot share its connection."
    connection = shared.transactions.connection
    if connection is not None and shared.transactions.is_open and connection.driver != _name(driver):
        return f"engines on {connection.driver} and on {_name(driver)} connect in one savepoint test."
    return None


def proxied(driver: str, shared: SharedConnection, creator: Creator | None) -> Creator:
    """What SQLAlchemy calls for a connection of the driver, instead of `creator` or the driver's own."""
    name = _name(driver)

    async def create(*arguments: Any, **options: Any) -> Any:
        async def connect() -> Any:
            asked = {**options, ASKED_BY: HARNESS} if creator is None else options
            if name == "asyncpg":
                return await (creator or import_module("asyncpg").connect)(*arguments, **asked)
            raw = await (creator or import_module("psycopg").AsyncConnection.connect)(*arguments, **asked)
            # What begins and ends transactions are the statements of `SharedConnection`.
            await raw.set_autocommit(True)
            return raw

        await shared.connect(name, connect)
        return AsyncpgProxy(shared) if name == "asyncpg" else psycopg_proxy(shared)

    return create


def _name(driver: str) -> Driver:
    return "asyncpg" if driver == "asyncpg" else "psycopg"
