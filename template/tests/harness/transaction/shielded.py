"""Runs a coroutine to its end, even if the task that awaits it is cancelled.

The recorded savepoints must be those of the server: after a cancelled SAVEPOINT, the savepoint may exist or not.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

Result = TypeVar("Result")

# Seconds that the end of another transaction may take, or a statement after a cancellation.
LIMIT = 10


async def run_shielded(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Await the coroutine in a new task; raise a cancellation after its end."""
    task = asyncio.create_task(coroutine)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        limit = task.get_loop().call_later(LIMIT, task.cancel)
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({task})
        limit.cancel()
        if not task.cancelled():
            # Retrieved, so that asyncio does not log it.
            task.exception()
        raise
