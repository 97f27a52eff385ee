"""A forked child that returns from a test or a fixture is ended, and the test fails, as with `os._exit()`.

The child is a copy of pytest: it would run the remaining tests a second time, on the connections of the first, and
remove the files of the run. It reports itself to its parent through a pipe. A child that ends by `os._exit()` or
`sys.exit()` is as in production, and fails no test.
"""

import functools
import inspect
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import MethodType
from typing import Any

import pytest

from ..core.run import add_to_summary
from . import process_end
from .deadline import replaced_function

# Before a test can replace it.
END = os._exit

MESSAGE = (
    "{} forked a process that returned from it. The child was ended: it would have run the remaining tests a second "
    "time, on the connections of this process. End the child with os._exit() in a `finally`, or start it with "
    "subprocess or multiprocessing."
)


class Forks:
    """The children that this process of pytest has forked."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        # Not inherited by programs that a test starts.
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)

    def close(self) -> None:
        """Close the pipe."""
        if os.getpid() == self._pid:
            os.close(self._read)
            os.close(self._write)

    @contextmanager
    def ending_child(self, name: str) -> Iterator[None]:
        """End this process if it is a child when the block ends."""
        try:
            yield
        except SystemExit as error:
            if os.getpid() != self._pid:
                END(error.code if isinstance(error.code, int) else int(error.code is not None))
            raise
        finally:
            if os.getpid() != self._pid:
                os.write(self._write, f"{name}\n".encode())
                END(1)

    def returned(self) -> list[str]:
        """The names of the tests and fixtures from which a child has returned since the last call."""
        try:
            return os.read(self._read, 2**16).decode().splitlines()
        except BlockingIOError:
            return []


FORKS = pytest.StashKey[Forks]()


def configure(config: pytest.Config) -> None:
    process_end.PROCESS_END.configure(config)
    # Windows cannot fork.
    if hasattr(os, "fork"):
        config.stash[FORKS] = forks = Forks()
        config.add_cleanup(forks.close)


def watching_test(item: pytest.Item) -> AbstractContextManager[None]:
    """Refuses `os._exit()`."""
    return process_end.PROCESS_END.refusing(item)


def watching_function(item: pytest.Function) -> AbstractContextManager[None]:
    """Ends a child that returns from the test function."""
    return replaced_function(item, functools.partial(_ending, item.config.stash.get(FORKS, None), item.nodeid))


@contextmanager
def watching_fixture(fixturedef: Any, config: pytest.Config) -> Iterator[None]:
    """Ends a child that returns from the setup or the teardown of a fixture."""
    function = fixturedef.func
    fixturedef.func = _ending(config.stash.get(FORKS, None), f"fixture {fixturedef.argname}", function, _kept)
    try:
        yield
    finally:
        fixturedef.func = function


def report(item: pytest.Item, report: pytest.TestReport) -> None:
    """Fail the test that has called `os._exit()`, or a child of which has returned.

    A child of an earlier test ends the run.
    """
    process_end.report_calls(item, report)
    forks = item.config.stash.get(FORKS, None)
    for name in forks.returned() if forks is not None else ():
        message = MESSAGE.format(name)
        if name == item.nodeid or name.startswith("fixture "):
            later_errors = report.longreprtext if report.failed else ""
            report.outcome = "failed"
            report.longrepr = "\n\n".join(filter(None, [message, later_errors]))
        else:
            add_to_summary(item.config, "stopped", message)
            item.session.shouldfail = MESSAGE.format(name)


def _ending(
    forks: Forks | None,
    name: str,
    function: Callable[..., Any],
    wrap: Callable[[Forks, str, Callable[..., Any]], Callable[..., Any]] | None = None,
) -> Callable[..., Any]:
    wrap = wrap or _wrapped
    if forks is None:
        return function
    if inspect.ismethod(function):
        # pytest binds it to the instance of each test.
        return MethodType(wrap(forks, name, function.__func__), function.__self__)
    return wrap(forks, name, function)


def _wrapped(forks: Forks, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def generate_async(*arguments: Any, **named: Any) -> AsyncIterator[Any]:
            generator = function(*arguments, **named)
            with forks.ending_child(name):
                try:
                    value = await anext(generator)
                except StopAsyncIteration:
                    return
            yield value
            with forks.ending_child(name):
                async for value in generator:
                    yield value

        return generate_async
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def generate(*arguments: Any, **named: Any) -> Iterator[Any]:
            generator = function(*arguments, **named)
            with forks.ending_child(name):
                try:
                    value = next(generator)
                except StopIteration:
                    # pytest says which fixture has not yielded.
                    return
            yield value
            with forks.ending_child(name):
                yield from generator

        return generate
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_async(*arguments: Any, **named: Any) -> Any:
            with forks.ending_child(name):
                return await function(*arguments, **named)

        return run_async

    @functools.wraps(function)
    def run(*arguments: Any, **named: Any) -> Any:
        with forks.ending_child(name):
            return function(*arguments, **named)

    return run


# Of fixtures, which each test sets up: without it, 3 us for each of them.
_kept = functools.cache(_wrapped)
