"""The time limit of a test: at the limit the test fails, with the line where it stopped and its database activity.

The limit is `test_timeout_seconds`; by default 6 times `slow_test_seconds`, and at least a minute. It applies to setup,
call and teardown separately. See `alarm.py` for the interruption and `timeout_report.py` for the message.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from ..core.settings import settings_of
from .alarm import Deadline

MINUTE = 60.0
DEADLINE = pytest.StashKey[Deadline]()


def configure(config: pytest.Config) -> None:
    settings = settings_of(config)
    is_set = settings.test_timeout_seconds >= 0
    seconds = settings.test_timeout_seconds if is_set else max(MINUTE, 6 * settings.slow_test_seconds)
    config.stash[DEADLINE] = Deadline(seconds)
    config.add_cleanup(config.stash[DEADLINE].uninstall)


def limiting_phase(item: pytest.Item, phase: str) -> AbstractContextManager[None]:
    """Limits a phase of a test; `phase` is the beginning of the message, such as "setup of "."""
    return item.config.stash[DEADLINE].of(item, phase)


def pytest_fixture_post_finalizer(fixturedef: Any, request: pytest.FixtureRequest) -> None:
    # The last fixture with function scope: the next ones have a wider scope.
    if fixturedef.argname == "_guarded":
        request.config.stash[DEADLINE].widen(1)


@contextmanager
def limiting_fixture(fixturedef: Any, config: pytest.Config) -> Iterator[None]:
    """Limits a fixture before AnyIO wraps it; a fixture with a wider scope has more time."""
    deadline, function = config.stash[DEADLINE], fixturedef.func
    is_wider = fixturedef.scope != "function"
    fixturedef.func = deadline.limiting(function)
    if is_wider:
        deadline.widen(1)
    try:
        yield
    finally:
        fixturedef.func = function
        if is_wider:
            deadline.widen(-1)


def limiting_function(item: pytest.Function) -> AbstractContextManager[None]:
    """Limits the test function; guard `leaked_task` wraps the limited function, and so sees the failure."""
    return replaced_function(item, item.config.stash[DEADLINE].limiting)


@contextmanager
def replaced_function(
    item: pytest.Function, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> Iterator[None]:
    """Wraps the test function, as pytest and Hypothesis call it."""
    # Hypothesis calls `inner_test` for each example. AnyIO replaces it, and keeps the original function.
    holder = getattr(item.obj, "hypothesis", None)
    owner, name = (item, "obj") if holder is None else (holder, "inner_test")
    function = getattr(owner, name)
    function = getattr(function, "_anyio_original_func", function)
    setattr(owner, name, wrap(function))
    try:
        yield
    finally:
        setattr(owner, name, function)


def report_timeout(item: pytest.Item, report: pytest.TestReport) -> None:
    """Put the message of a timeout above other errors of the phase."""
    deadline = item.config.stash[DEADLINE]
    if (message := deadline.message) is not None:
        deadline.message = None
        later_errors = report.longreprtext.replace(message, "").strip()
        report.outcome = "failed"
        report.longrepr = "\n\n".join([message, *(["Later errors:", later_errors] if later_errors else [])])
