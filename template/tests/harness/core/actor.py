"""Who sends a statement: a task, or in synchronous code the request that a thread serves, or the thread."""

import asyncio
import threading
from typing import Any

from .requests import REQUEST

Actor = asyncio.Task[Any] | threading.Thread


def current_actor() -> Actor | None:
    """The current task; in a thread without an event loop, the task of the request that it serves, or the thread."""
    if asyncio._get_running_loop() is not None:
        return asyncio.current_task()
    request = REQUEST.get()
    if request is not None and request.task is not None:
        return request.task
    return threading.current_thread()


def are_concurrent(one: Actor | None, other: Actor | None) -> bool:
    """Whether two senders, of which None is unknown, may run at the same time."""
    if one is other or one is None or other is None:
        return False
    # A synchronous fixture and an async test: the event loop runs in the main thread.
    are_of_one_kind = isinstance(one, asyncio.Task) == isinstance(other, asyncio.Task)
    return are_of_one_kind or threading.main_thread() not in (one, other)


def name_of(actor: Actor) -> str:
    """The name of a sender in messages."""
    return f"task {actor.get_name()}" if isinstance(actor, asyncio.Task) else f"thread {actor.name}"
