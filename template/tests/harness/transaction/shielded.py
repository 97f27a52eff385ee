"""What is awaited to its end, although whoever waits for it is cancelled.

What is known of the savepoints has to be what the server knows: a SAVEPOINT that was cancelled may be there, or not.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

Result = TypeVar("Result")

# Seconds, should the server not answer.
LIMIT = 10


async def to_its_end(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Await it in a task of its own; a cancellation is raised when it is done."""
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
            # Looked at, so that asyncio does not log it.
            task.exception()
        raise
