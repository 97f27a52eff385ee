"""A `BaseException` such as CancelledError or SystemExit fails one test, as an `Exception` does.

AnyIO's plugin runs all tests and fixtures in one task. A BaseException would end that task, and every later test would
fail with ClosedResourceError; so it is raised outside of the task. pytest stops a teardown at a BaseException, and
later tests would get the remaining fixtures with their transaction; so these are torn down as well.
"""

import functools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from _pytest.fixtures import get_scope_node
from _pytest.outcomes import OutcomeException
from anyio._backends._asyncio import TestRunner


def configure(config: pytest.Config) -> None:
    call: Callable[..., Awaitable[Any]] = TestRunner._call_in_runner_task

    @functools.wraps(call)
    async def call_and_raise_outside(
        self: TestRunner, function: Callable[..., Awaitable[Any]], /, *arguments: Any, **named: Any
    ) -> Any:
        raised: list[BaseException] = []

        async def catching() -> Any:
            try:
                return await function(*arguments, **named)
            except BaseException as error:
                raised.append(error)

        if self._runner_task is not None and self._runner_task.done():
            # Cancelled between two tests, by the task group of a fixture.
            self._runner_task = None
        # AnyIO appends a test's exceptions to this list. A list frozen by `garbage.py` would keep them for ever.
        self._exceptions = [*self._exceptions]
        result = await call(self, catching)
        if raised:
            # pop() avoids a reference cycle, which would keep the error's variables.
            raise raised.pop()
        return result

    TestRunner._call_in_runner_task = call_and_raise_outside  # type: ignore[method-assign]  # there is no public way
    config.add_cleanup(lambda: setattr(TestRunner, call.__name__, call))


@contextmanager
def finishing_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Tears down the remaining fixtures if the teardown of a fixture raises a `BaseException`."""
    try:
        yield
    except (Exception, OutcomeException, KeyboardInterrupt):
        raise
    except BaseException:
        # Only functions have fixtures.
        request: Any = getattr(item, "_request", None)
        state = item.session._setupstate
        with ExitStack() as rest:
            rest.callback(state.teardown_exact, nextitem)
            # In reverse order of their setup.
            for fixture in request._fixture_defs.values() if request else ():
                if get_scope_node(item, fixture._scope) not in state.stack:
                    rest.callback(fixture.finish, request)
        raise
