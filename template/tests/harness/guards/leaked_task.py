"""Guard: a test leaves no task running, and no exception of a task unread.

All async tests run in one task on one event loop. Tasks that end within half a second after the test are allowed.
"""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any

import pytest

from ..core.source_lines import is_of_project, places
from . import leaked_contextvar
from .base import Guard

# Seconds in which a task may end after the test.
GRACE = 0.5

TASKS: ContextVar[list[asyncio.Task[Any]] | None] = ContextVar("savepoint_tasks", default=None)

GUARD = Guard(
    "leaked_task",
    why="The task continues during later tests, uses their database, and makes them fail instead.",
    instead="Await the task, or cancel it and then await it. The application's tasks must end with its lifespan.",
    formerly="tasks",
    # It depends on the time that a task takes.
    is_repeatable=False,
)


@contextmanager
def watching_function(item: pytest.Function) -> Iterator[None]:
    """Checks tasks and context variables at the end of an async test function."""
    function = item.obj
    if not inspect.iscoroutinefunction(function) or hasattr(function, "hypothesis"):
        yield
        return
    item.obj = _watched(function, item)
    try:
        yield
    finally:
        item.obj = function


def _watched(function: Callable[..., Awaitable[None]], item: pytest.Item) -> Callable[..., Coroutine[Any, Any, None]]:
    @functools.wraps(function)
    async def watched(*arguments: Any, **named: Any) -> None:
        context = copy_context()
        with _collecting() as tasks:
            try:
                await function(*arguments, **named)
            except KeyboardInterrupt:
                # No test follows.
                raise
            except BaseException:
                await _check(item, tasks, context)
                raise
            await _check(item, tasks, context)

    return watched


@contextmanager
def _collecting() -> Iterator[list[asyncio.Task[Any]]]:
    """The tasks that are started in the block, by the test and by the code that it calls.

    Tasks that a task of the lifespan starts are not among them: a task inherits the context of its creator.
    """
    loop = asyncio.get_running_loop()
    factory: Any = loop.get_task_factory()
    tasks: list[asyncio.Task[Any]] = []

    def start(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> Any:
        task = factory(loop, coroutine, **options) if factory else asyncio.Task(coroutine, loop=loop, **options)
        if TASKS.get() is tasks:
            tasks.append(task)
        return task

    loop.set_task_factory(start)
    before = TASKS.set(tasks)
    try:
        yield tasks
    finally:
        TASKS.reset(before)
        loop.set_task_factory(factory)
        # Break a reference cycle: the contexts of the tasks refer to the list.
        tasks.clear()


async def _check(item: pytest.Item, tasks: list[asyncio.Task[Any]], context: Context) -> None:
    if leaked_contextvar.GUARD.is_on(item.config):
        leaked_contextvar.restore(item, context)
    running = [task for task in tasks if not task.done()]
    # asyncio sets `_log_traceback` while the exception of a task has not been read.
    unread = [task for task in tasks if task.done() and getattr(task, "_log_traceback", False)]
    if not (running or unread) or not GUARD.is_on(item.config):
        return
    done, pending = await asyncio.wait(running, timeout=GRACE) if running else (set(), set())
    for task in [*unread, *done]:
        if not task.cancelled() and (error := task.exception()) is not None:
            lines = [f"{_name(task)} was not awaited and raised {type(error).__name__}: {error}"]
            GUARD.fires(item, "\n  ".join([*lines, *places(error, item.config.rootpath)]))
    for task in pending:
        GUARD.fires(item, f"{_name(task)} was still running when the test ended{_where(task, item)}")
        task.cancel()
    if pending:
        await asyncio.wait(pending, timeout=GRACE)


def _name(task: asyncio.Task[Any]) -> str:
    return f"task {task.get_name()} ({getattr(task.get_coro(), '__qualname__', 'a coroutine')})"


def _where(task: asyncio.Task[Any], item: pytest.Item) -> str:
    root, place = item.config.rootpath, "."
    coroutine: Any = task.get_coro()
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        path = type(root)(frame.f_code.co_filename)
        if is_of_project(path, root):
            place = f":\n  {path.relative_to(root)}:{frame.f_lineno}"
        coroutine = coroutine.cr_await
    return place
