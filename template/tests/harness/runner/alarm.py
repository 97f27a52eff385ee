"""SIGALRM ends a test that hangs: it cancels a test that awaits, and raises an exception in a test that blocks.

The cancellation is turned into a failure before it reaches AnyIO's runner, which would end and make all later tests
fail. pytest-timeout raises its failure out of the event loop: AnyIO's runner then waits for the test that hangs, and
the run hangs in the next test. Not covered: Windows, and C code that does not check for signals.
"""

import asyncio
import functools
import inspect
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from types import FrameType, MethodType
from typing import Any

import pytest

from ..guards.leaked_task import TASKS
from ..guards.slow_test import DEBUGGED
from ..guards.slow_test import GUARD as SLOW
from .timeout_report import timeout_message

# Not on Windows.
HAS_ALARM = hasattr(signal, "SIGALRM")
# Factor for fixtures with a wider scope, which start servers and run migrations, and for tests that may be slow.
WIDER = 10
# Unwrapped: the public function makes an enum member of the handler, in vain for a function, which takes 10 us.
GET_SIGNAL: Callable[[int], Any] = getattr(signal.getsignal, "__wrapped__", signal.getsignal)
# Seconds until the next signal, if the first did not end the test.
INTERVAL = 2.0


class Deadline:
    """The time limit of the tests of this process.

    Args:
        seconds: the limit of each phase of a test: setup, call, teardown; 0 for no limit.

    Attributes:
        message: the message of the timeout in the current or last phase; None without a timeout.
    """

    def __init__(self, seconds: float) -> None:
        self.message: str | None = None
        self._seconds = seconds
        self._item: pytest.Item | None = None
        self._phase = ""
        self._limit = seconds
        self._factor = 1
        self._wider = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._awaited: object = None
        self._tasks: list[asyncio.Task[Any]] | None = None
        self._blocking: asyncio.Task[Any] | None = None

    @contextmanager
    def of(self, item: pytest.Item, phase: str) -> Iterator[None]:
        """Limit a phase of a test, unless SIGALRM is used by other code or a debugger may stop the process."""
        self.message = None
        if self._seconds <= 0 or not HAS_ALARM or "pydevd" in sys.modules or not self._is_installed():
            yield
            return
        self._item, self._phase, self._wider = item, phase, 0
        self._factor = 1 if SLOW.applies_to(item) else WIDER
        self._set(self._factor)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._item = None

    def widen(self, by: int) -> None:
        """Restart the timer: with more time at the start (1) of a fixture with a wider scope, until its end (-1)."""
        self._wider += by
        if self._item is not None:
            self._set(WIDER if self._wider else self._factor)

    def limiting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap an async test or fixture so that it fails at the time limit; return a synchronous function unchanged."""
        if inspect.ismethod(function):
            return MethodType(self._limited(function.__func__), function.__self__)
        return self._limited(function)

    @functools.cache  # noqa: B019 - there is one instance
    def _limited(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.isasyncgenfunction(function):

            @functools.wraps(function)
            async def generate(*arguments: Any, **named: Any) -> AsyncIterator[Any]:
                generator = function(*arguments, **named)
                with self._ending(generator):
                    try:
                        value = await anext(generator)
                    except StopAsyncIteration:
                        return
                yield value
                with self._ending(generator):
                    async for value in generator:
                        yield value

            return generate
        if not inspect.iscoroutinefunction(function):
            return function

        @functools.wraps(function)
        async def run(*arguments: Any, **named: Any) -> Any:
            coroutine = function(*arguments, **named)
            with self._ending(coroutine):
                return await coroutine

        return run

    def _is_installed(self) -> bool:
        if not HAS_ALARM or threading.current_thread() is not threading.main_thread():
            return False
        handler = GET_SIGNAL(signal.SIGALRM)
        if handler == signal.SIG_DFL:
            signal.signal(signal.SIGALRM, self._on_alarm)
        return handler in (signal.SIG_DFL, self._on_alarm)

    def uninstall(self) -> None:
        """Restore the default handler of SIGALRM."""
        if HAS_ALARM and signal.getsignal(signal.SIGALRM) == self._on_alarm:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)

    @contextmanager
    def _ending(self, awaited: object) -> Iterator[None]:
        task = asyncio.current_task()
        assert task is not None
        self._loop, self._task, self._awaited, self._tasks = task.get_loop(), task, awaited, TASKS.get()
        try:
            yield
        except (Exception, asyncio.CancelledError):
            if self.message is None:
                raise
            raise pytest.fail.Exception(self.message, pytrace=False) from None
        finally:
            # Nor the tasks, which would live until the next test, and with them all that it has made.
            self._task = self._awaited = self._started = None
            while self.message is not None and task.cancelling():
                task.uncancel()

    def _set(self, times: int) -> None:
        self._limit = self._seconds * times
        if HAS_ALARM and self._item is not None and self.message is None:
            signal.setitimer(signal.ITIMER_REAL, self._limit, INTERVAL)

    def _on_alarm(self, number: int, frame: FrameType | None) -> None:
        item, loop = self._item, asyncio._get_running_loop()
        is_between = self._task is None and loop is not None and loop is self._loop
        if item is None or is_between or item.config.stash.get(DEBUGGED, False):
            # The signal comes again.
            return
        running_task = None if loop is None else asyncio.current_task(loop)
        is_first = self.message is None
        if self.message is None:
            tasks = None if self._task is None else self._tasks
            awaited = None if loop is None or loop is not self._loop else self._awaited
            self.message = timeout_message(
                item, self._phase, self._limit, awaited, tasks or [], is_awaiting=running_task is None
            )
        # A task that runs at two signals in a row blocks the loop.
        is_blocked = not is_first and running_task is not None and running_task is self._blocking
        if self._task is None or loop is None or loop is not self._loop or is_blocked:
            raise pytest.fail.Exception(self.message, pytrace=False)
        self._blocking = running_task
        loop.call_soon_threadsafe(self._cancel, self._task)

    def _cancel(self, task: asyncio.Task[Any]) -> None:
        if task is self._task:
            task.cancel()
