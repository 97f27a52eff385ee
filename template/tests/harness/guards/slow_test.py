"""Guard: no test takes longer than it may, its fixtures left out; ten seconds, unless `slow_test_seconds` says more."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

import pytest

from ..core.settings import settings_of
from .base import Guard

# Time in pytest's debugger is not the test's.
DEBUGGED = pytest.StashKey[bool]()


@contextmanager
def _timed(item: pytest.Item) -> Iterator[None]:
    began = perf_counter()
    yield
    seconds, budget = perf_counter() - began, settings_of(item.config).slow_test_seconds
    if seconds > budget and not item.config.stash.get(DEBUGGED, False):
        GUARD.fires(item, f"the test took {seconds:.1f} s, and {budget:g} s is what a test may take.")


def pytest_enter_pdb(config: pytest.Config) -> None:
    config.stash[DEBUGGED] = True


GUARD = Guard(
    "slow_test",
    why="a suite that is slow is run seldom, and a test that waits by the clock fails on a machine that is busy.",
    instead="look for a sleep, a retry, a timeout that is real, or rows by the thousand; or slow_test_seconds = 30 in "
    "pyproject.toml.",
    call=_timed,
    formerly="slow",
)
