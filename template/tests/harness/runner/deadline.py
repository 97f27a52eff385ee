"""No test runs for ever: after a minute it fails, and says where it stands and what the database waits for.

A minute is six times what guard `slow_test` lets pass by default; where that lets more pass, it is six times as much.
`test_timeout_seconds` is another limit. The set-up and the
tear-down of a test have as long. `alarm.py` says how they are ended, and `standstill.py` what is said.
"""

from collections.abc import Iterator
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
    """Limits the set-up, the call or the tear-down of a test; `phase` begins the message, such as "the set-up of "."""
    return item.config.stash[DEADLINE].of(item, phase)


def pytest_fixture_post_finalizer(fixturedef: Any, request: pytest.FixtureRequest) -> None:
    # The last of a test's own: what comes down now is of wider scope.
    if fixturedef.argname == "_guarded":
        request.config.stash[DEADLINE].widen(1)


@contextmanager
def limiting_fixture(fixturedef: Any, config: pytest.Config) -> Iterator[None]:
    """Limits what AnyIO takes for the fixture; one of wider scope has more time."""
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


@contextmanager
def limiting_function(item: pytest.Function) -> Iterator[None]:
    """Limits the test's own function, around which guard `leaked_task` then sees a failure."""
    # Hypothesis runs many times what it holds; AnyIO puts its own there, and says what was there before.
    holder = getattr(item.obj, "hypothesis", None)
    owner, name = (item, "obj") if holder is None else (holder, "inner_test")
    function = getattr(owner, name)
    function = getattr(function, "_anyio_original_func", function)
    setattr(owner, name, item.config.stash[DEADLINE].limiting(function))
    try:
        yield
    finally:
        setattr(owner, name, function)


def report_timeout(item: pytest.Item, report: pytest.TestReport) -> None:
    """Say first why the phase of the test was ended, if it was."""
    deadline = item.config.stash[DEADLINE]
    if (message := deadline.message) is not None:
        deadline.message = None
        followed = report.longreprtext.replace(message, "").strip()
        report.outcome = "failed"
        report.longrepr = "\n\n".join([message, *(["What followed from it:", followed] if followed else [])])
