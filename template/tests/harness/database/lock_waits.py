"""For tests of concurrent transactions: wait until they wait for locks, without a sleep."""

import asyncio
import time
from typing import Any, Protocol

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.ext.asyncio import AsyncEngine

# Another user sees neither the state nor the wait of a session in pg_stat_activity.
WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid IN (SELECT pid FROM pg_locks WHERE NOT granted)
"""

# Seconds before the wait fails; normally it takes milliseconds.
TIMEOUT = 10


class WaitForLockWaiters(Protocol):
    """`await wait_for_lock_waiters(2)`: wait until two connections of this test's database wait for a lock."""

    async def __call__(self, number: int) -> None: ...


@pytest.fixture
def wait_for_lock_waiters(engine: AsyncEngine | Engine) -> WaitForLockWaiters:
    """Waits until this number of connections of an own_database test wait for a lock of a row, a unique value etc."""

    async def wait(number: int) -> None:
        deadline = time.monotonic() + TIMEOUT
        while True:
            found = await (asyncio.to_thread(_count, engine) if isinstance(engine, Engine) else _counted(engine))
            if found == number:
                return
            if time.monotonic() > deadline:
                pytest.fail(
                    f"Timed out after {TIMEOUT} s: {found} connections are waiting for a lock, expected {number}. Hold "
                    "the lock in another open transaction, e.g. `db_session` after a flush, in a test with "
                    "@pytest.mark.own_database.",
                    pytrace=False,
                )
            await asyncio.sleep(0.005)

    return wait


async def _counted(engine: AsyncEngine) -> Any:
    async with engine.connect() as connection:
        return await connection.scalar(text(WAITING))


def _count(engine: Engine) -> Any:
    with engine.connect() as connection:
        return connection.scalar(text(WAITING))
