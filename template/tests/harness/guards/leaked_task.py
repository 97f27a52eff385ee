"""Guards: a test leaves no task behind, and no context variable; both would be there for the test after it.

All async tests run in one task on one loop. What a test started may end by itself, if it does so soon. A context
variable that the application sets for a request is gone with it, as on a server: see `handled.py`.
"""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar, copy_context
from typing import Any

import pytest

from ..core.source_lines import is_of_project, places
from .base import Guard

# Seconds that a task has for ending by itself, once the test has returned.
GRACE = 0.5

# Set by the first use of a library, and of no consequence to the next test.
HARMLESS = {"of_test", "decimal_context", "current_async_library_cvar", "warnings_context"}

OF_TEST: ContextVar[list[asyncio.Task[Any]] | None] = ContextVar("of_test", default=None)

TASKS = Guard(
    "leaked_task",
    why="it goes on in the tests after this one, uses their database, and fails them instead.",
    instead="await it, or cancel it and then await it; a task of the application's ends with its lifespan.",
    formerly="tasks",
)


CONTEXT = Guard(
    "leaked_contextvar",
    why="all async tests share a context: the next test finds the value there, and passes or fails by the order.",
    instead="keep what set() returns, and give it to reset() in a `finally`, or in a fixture after its yield.",
    formerly="context",
)


@contextmanager
def watching_function(item: pytest.Function) -> Iterator[None]:
    """Looks, at the end of the test's own function, at what it has left."""
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
                # No test comes after this one.
                raise
            except BaseException:
                await _look(item, tasks, context)
                raise
            await _look(item, tasks, context)

    return watched


@contextmanager
def _collecting() -> Iterator[list[asyncio.Task[Any]]]:
    """The tasks that are started until the block ends, by the test and by what it calls.

    Not those that a task of the lifespan starts meanwhile: a task has the context of whoever has started it.
    """
    loop = asyncio.get_running_loop()
    factory: Any = loop.get_task_factory()
    tasks: list[asyncio.Task[Any]] = []

    def start(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> Any:
        task = factory(loop, coroutine, **options) if factory else asyncio.Task(coroutine, loop=loop, **options)
        if OF_TEST.get() is tasks:
            tasks.append(task)
        return task

    loop.set_task_factory(start)
    before = OF_TEST.set(tasks)
    try:
        yield tasks
    finally:
        OF_TEST.reset(before)
        loop.set_task_factory(factory)


async def _look(item: pytest.Item, tasks: list[asyncio.Task[Any]], context: Context) -> None:
    if CONTEXT.watches(item):
        _put_back(item, context)
    left = [task for task in tasks if not task.done()]
    # Of those that have ended, some have raised and nobody has looked: asyncio's own note, by which it would log it.
    left_alone = [task for task in tasks if task.done() and getattr(task, "_log_traceback", False)]
    if not (left or left_alone) or not TASKS.watches(item):
        return
    done, pending = await asyncio.wait(left, timeout=GRACE) if left else (set(), set())
    for task in [*left_alone, *done]:
        if not task.cancelled() and (error := task.exception()) is not None:
            where = "".join(f"\n  {place}" for place in places(error, item.config.rootpath))
            TASKS.fires(item, f"{_name(task)} raised {type(error).__name__}, and nobody awaited it: {error}{where}")
    for task in pending:
        TASKS.fires(item, f"the test has ended, and {_name(task)} still runs{_where(task, item)}.")
        task.cancel()
    if pending:
        await asyncio.wait(pending, timeout=GRACE)


def _name(task: asyncio.Task[Any]) -> str:
    return f"task {task.get_name()} ({getattr(task.get_coro(), '__qualname__', 'a coroutine')})"


def _where(task: asyncio.Task[Any], item: pytest.Item) -> str:
    root, place = item.config.rootpath, ""
    coroutine: Any = task.get_coro()
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        path = type(root)(frame.f_code.co_filename)
        if is_of_project(path, root):
            place = f", at {path.relative_to(root)}:{frame.f_lineno}"
        coroutine = coroutine.cr_await
    return place


def _put_back(item: pytest.Item, before: Context) -> None:
    left = _changed(before)
    if not left:
        return
    names = ", ".join(sorted(variable.name for variable in left))
    for variable in left:
        # Nothing unsets a variable: one that was not set before gets its default, which an empty context has.
        with suppress(LookupError):
            variable.set(before[variable] if variable in before else Context().run(variable.get))
    CONTEXT.fires(item, f"the test has set a context variable and left it so: {names}.")


def _changed(before: Context) -> set[ContextVar[Any]]:
    return {
        variable
        for variable, value in copy_context().items()
        if (variable not in before or before[variable] is not value) and variable.name not in HARMLESS
    }
