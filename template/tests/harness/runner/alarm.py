"""The alarm that ends what hangs: by a cancellation where it awaits, and by an exception right where it blocks.

A cancellation becomes a failure before it reaches AnyIO's runner, which would end with it, and every later test too.
pytest-timeout raises its failure out of the event loop: AnyIO's runner then waits for the test that hangs, and the run
hangs at the next. Windows has no such alarm, and code in C that does not look for signals cannot be interrupted.
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

from ..guards.leaked_task import OF_TEST
from ..guards.slow_test import DEBUGGED
from ..guards.slow_test import GUARD as SLOW
from .standstill import report_of

# Fixtures of wider scope start servers and run migrations, and some tests may be slow: they have so many times as long.
WIDER = 10
# Seconds until the next attempt, if the first did not help.
AGAIN = 2.0


class Deadline:
    """The alarm of this process, and what it ends.

    Args:
        seconds: that a test may take, and its set-up, and its tear-down; 0 for no limit.

    Attributes:
        message: why the phase of a test that runs, or has just run, was ended; None if it was not.
    """

    def __init__(self, seconds: float) -> None:
        self.message: str | None = None
        self._seconds = seconds
        self._item: pytest.Item | None = None
        self._phase = ""
        self._limit = seconds
        self._narrow = 1
        self._wider = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._awaited: object = None
        self._started: list[asyncio.Task[Any]] | None = None
        self._blocking: asyncio.Task[Any] | None = None

    @contextmanager
    def of(self, item: pytest.Item, phase: str) -> Iterator[None]:
        """Limit a phase of a test, unless somebody else uses the alarm, or a debugger may stop the process."""
        self.message = None
        if self._seconds <= 0 or sys.platform == "win32" or "pydevd" in sys.modules or not self._is_installed():
            yield
            return
        self._item, self._phase, self._wider = item, phase, 0
        self._narrow = 1 if SLOW.watches(item) else WIDER
        self._set(self._narrow)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._item = None

    def widen(self, by: int) -> None:
        """Begin anew: with more time for a fixture of wider scope (1); when it is over (-1), as before."""
        self._wider += by
        self._set(WIDER if self._wider else self._narrow)

    def limiting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A test or a fixture, such that it fails when the alarm rings, if it is async; else as it is."""
        if inspect.ismethod(function):
            return MethodType(self._limited(function.__func__), function.__self__)
        return self._limited(function)

    @functools.cache  # noqa: B019 - there is one of these
    def _limited(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.isasyncgenfunction(function):

            @functools.wraps(function)
            async def generate(*arguments: Any, **named: Any) -> AsyncIterator[Any]:
                generator = function(*arguments, **named)
                with self._ending(generator):
                    value = await anext(generator)
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
        if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
            return False
        handler = signal.getsignal(signal.SIGALRM)
        if handler is signal.SIG_DFL:
            signal.signal(signal.SIGALRM, self._ring)
        return handler in (signal.SIG_DFL, self._ring)

    def uninstall(self) -> None:
        """Give the alarm back."""
        if sys.platform != "win32" and signal.getsignal(signal.SIGALRM) == self._ring:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)

    @contextmanager
    def _ending(self, awaited: object) -> Iterator[None]:
        task = asyncio.current_task()
        assert task is not None
        self._loop, self._task, self._awaited, self._started = task.get_loop(), task, awaited, OF_TEST.get()
        try:
            yield
        except (Exception, asyncio.CancelledError):
            if self.message is None:
                raise
            raise pytest.fail.Exception(self.message, pytrace=False) from None
        finally:
            self._task = self._awaited = None
            while self.message is not None and task.cancelling():
                task.uncancel()

    def _set(self, times: int) -> None:
        self._limit = self._seconds * times
        if sys.platform != "win32" and self._item is not None and self.message is None:
            signal.setitimer(signal.ITIMER_REAL, self._limit, AGAIN)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        item, loop = self._item, asyncio._get_running_loop()
        is_between = self._task is None and loop is not None and loop is self._loop
        if item is None or is_between or item.config.stash.get(DEBUGGED, False):
            # It rings again.
            return
        stepping = None if loop is None else asyncio.current_task(loop)
        is_first = self.message is None
        if self.message is None:
            started = None if self._task is None else self._started
            awaited = None if loop is None or loop is not self._loop else self._awaited
            self.message = report_of(
                item, self._phase, self._limit, awaited, started or [], is_awaiting=stepping is None
            )
        # Who is in the middle of a step now, and was so the time before, keeps the loop from doing anything.
        is_blocked = not is_first and stepping is not None and stepping is self._blocking
        if self._task is None or loop is None or loop is not self._loop or is_blocked:
            raise pytest.fail.Exception(self.message, pytrace=False)
        self._blocking = stepping
        loop.call_soon_threadsafe(self._cancel, self._task)

    def _cancel(self, task: asyncio.Task[Any]) -> None:
        if task is self._task:
            task.cancel()
