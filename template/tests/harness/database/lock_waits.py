"""For a test of what happens at once: to go on when all have come as far as a lock, and not by luck."""

import asyncio
import time
from typing import Protocol

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

# Not how long it takes, which is milliseconds, but when nobody need hope any more.
PATIENCE = 10


class WaitForLockWaiters(Protocol):
    """`await wait_for_lock_waiters(2)`: until two connections of this test's database wait for a lock."""

    async def __call__(self, number: int) -> None: ...


@pytest.fixture
def wait_for_lock_waiters(engine: AsyncEngine) -> WaitForLockWaiters:
    """Waits until so many connections of an own_database test wait for locks: of rows, of unique values, or others."""

    async def wait(number: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            async with engine.connect() as connection:
                found = await connection.scalar(text(WAITING))
            if found == number:
                return
            if time.monotonic() > deadline:
                pytest.fail(
                    f"{found} connections wait for a lock, and not {number}, {PATIENCE} s later. What is to be waited "
                    "for has to be held by another connection, in a transaction that goes on: `db_session` of a test "
                    "with @pytest.mark.own_database, after a flush.",
                    pytrace=False,
                )
            await asyncio.sleep(0.005)

    return wait
