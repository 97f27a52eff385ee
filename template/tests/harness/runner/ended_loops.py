"""A connection that a test has left to an event loop which has ended: `asyncio.run` closes its loop, and no connection.

An engine that outlives the call keeps it in its pool, where the next use fails, and the one after the run warns. The
test that made it is told so, and the connection is thrown away.
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

from ..core.source_lines import place_of_call
from ..guards.base import FIRED


@dataclass(frozen=True)
class Made:
    """Where a connection was made, in the project, and on which loop."""

    loop: asyncio.AbstractEventLoop
    place: str | None


MADE: WeakKeyDictionary[ConnectionPoolEntry, Made] = WeakKeyDictionary()


def configure(config: pytest.Config) -> None:
    def connected(connection: object, entry: ConnectionPoolEntry) -> None:
        # Others serve several loops in turn: aiosqlite has a thread, psycopg nothing that a loop would own.
        if type(connection).__module__ == asyncpg.__name__:
            MADE[entry] = Made(asyncio.get_running_loop(), place_of_call(config.rootpath))

    event.listen(Pool, "connect", connected)
    config.add_cleanup(partial(event.remove, Pool, "connect", connected))


# Before the fixtures of the test end: some of them empty all pools.
@contextmanager
def watching(item: pytest.Item) -> Iterator[None]:
    """Fails a test that has left a connection to an event loop which has ended."""
    try:
        yield
    finally:
        ended = [(entry, made) for entry, made in list(MADE.items()) if made.loop.is_closed()]
        if left := [made.place or "a library" for entry, made in ended if _throw_away(entry)]:
            item.stash.setdefault(FIRED, []).append(
                "a connection was left to an event loop that has ended, that of asyncio.run():\n"
                + "".join(f"  {place}\n" for place in dict.fromkeys(left))
                + "Let what asyncio.run() runs make an engine of its own and end with `await engine.dispose()`; or, in "
                "an async test, await it instead."
            )


def _throw_away(entry: ConnectionPoolEntry) -> bool:
    """Whether there was a connection still."""
    del MADE[entry]
    found: Any = entry
    if found.dbapi_connection is None:
        return False
    with warnings.catch_warnings():
        # Only its loop could close it in order: without it, the socket is closed when nobody has the connection.
        warnings.simplefilter("ignore")
        found.dbapi_connection = None
        gc.collect()
    return True
