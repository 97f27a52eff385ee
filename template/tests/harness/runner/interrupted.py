"""What is no `Exception` fails one test, as an `Exception` does: a cancelled task that is awaited, `sys.exit()`.

AnyIO's plugin runs all tests and fixtures in one task. Such an exception would end it, and every later test would fail
with ClosedResourceError; so it is raised outside of that task. pytest stops a tear-down at one, and later tests would
get the fixtures that are left, their transaction among them; so these are torn down as well.
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
    async def carry(self: TestRunner, function: Callable[..., Awaitable[Any]], /, *arguments: Any, **named: Any) -> Any:
        carried: list[BaseException] = []

        async def catch() -> Any:
            try:
                return await function(*arguments, **named)
            except BaseException as error:
                carried.append(error)

        if self._runner_task is not None and self._runner_task.done():
            # Cancelled between two tests, by a task group that a fixture holds open.
            self._runner_task = None
        # What a test raises comes into this list. One that is older would keep it for ever: `garbage.py` has frozen it.
        self._exceptions = [*self._exceptions]
        result = await call(self, catch)
        if carried:
            # With pop(), no reference cycle: what the error has seen is gone with it.
            raise carried.pop()
        return result

    TestRunner._call_in_runner_task = carry  # type: ignore[method-assign]  # there is no public way
    config.add_cleanup(lambda: setattr(TestRunner, call.__name__, call))


@contextmanager
def finishing_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Tears down the rest of the fixtures if what one has raised is no `Exception`."""
    try:
        yield
    except (Exception, OutcomeException, KeyboardInterrupt):
        raise
    except BaseException:
        # An item that is no function has no fixtures.
        request: Any = getattr(item, "_request", None)
        state = item.session._setupstate
        with ExitStack() as rest:
            rest.callback(state.teardown_exact, nextitem)
            # The last that was set up is the first to go.
            for fixture in request._fixture_defs.values() if request else ():
                if get_scope_node(item, fixture._scope) not in state.stack:
                    rest.callback(fixture.finish, request)
        raise
