"""Connections that a test leaks to a closed event loop: `asyncio.run` closes its loop, but not the connections.

An engine that outlives `asyncio.run` keeps such a connection in its pool, and its next use fails. So the test that
created the connection fails, and the connection is discarded.
"""

import asyncio
import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from sqlalchemy import event
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.pool import ConnectionPoolEntry, Pool

from ..connections.process import REDIRECT
from ..core.source_lines import place_of_call
from ..guards.base import FIRED, Fired
from ..transaction.logical_connection import IN_MIGRATION


@dataclass(frozen=True)
class Origin:
    """The event loop of a connection, and the line of the project that created it."""

    loop: asyncio.AbstractEventLoop
    place: str | None


ORIGINS: WeakKeyDictionary[ConnectionPoolEntry, Origin] = WeakKeyDictionary()


def configure(config: pytest.Config) -> None:
    redirect = config.stash[REDIRECT]

    def connected(connection: object, entry: ConnectionPoolEntry) -> None:
        # Other drivers' connections do not belong to a loop: aiosqlite has a thread, psycopg keeps no loop.
        # env.py may leave its engine open: it runs once in production, and its process ends. So may a test that is not
        # governed, for which no governed test must fail.
        is_left_alone = IN_MIGRATION.get() or not redirect.is_listening
        if type(connection).__module__ == asyncpg.__name__ and not is_left_alone:
            ORIGINS[entry] = Origin(asyncio.get_running_loop(), place_of_call(config.rootpath))

    event.listen(Pool, "connect", connected)
    config.add_cleanup(partial(event.remove, Pool, "connect", connected))


# Before the teardown of fixtures: some of them empty all pools.
@contextmanager
def watching(item: pytest.Item) -> Iterator[None]:
    """Fails a test that has leaked a connection to a closed event loop."""
    try:
        yield
    finally:
        closed = [(entry, origin) for entry, origin in list(ORIGINS.items()) if origin.loop.is_closed()]
        if leaked := [origin.place or "a library" for entry, origin in closed if _discard(entry)]:
            text = (
                "a database connection was still open when asyncio.run() closed its event loop:\n"
                + "".join(f"  {place}\n" for place in dict.fromkeys(leaked))
                + "In an async test, await the coroutine instead of passing it to asyncio.run(). Otherwise create the "
                "engine inside of the coroutine, and end the coroutine with `await engine.dispose()`."
            )
            item.stash.setdefault(FIRED, []).append(Fired(text))


def _discard(entry: ConnectionPoolEntry) -> bool:
    """Discard a connection; False if it was closed before."""
    del ORIGINS[entry]
    found: Any = entry
    if found.dbapi_connection is None:
        return False
    with warnings.catch_warnings():
        # Only its loop could close it properly; without the loop, garbage collection closes the socket.
        warnings.simplefilter("ignore")
        found.dbapi_connection = None
        gc.collect()
    return True
