"""Guard: no test takes longer than it may, its fixtures left out; ten seconds, unless `slow_test_seconds` says more."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

import pytest

from .guards import Guard

BUDGET = pytest.StashKey[float]()
# Time in pytest's debugger is not the test's.
DEBUGGED = pytest.StashKey[bool]()


@contextmanager
def _timed(item: pytest.Item) -> Iterator[None]:
    began = perf_counter()
    yield
    seconds, budget = perf_counter() - began, item.config.stash[BUDGET]
    if seconds > budget and not item.config.stash.get(DEBUGGED, False):
        GUARD.fires(item, f"the test took {seconds:.1f} s, and {budget:g} s is what a test may take.")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("slow_test_seconds", "How long a test may take.", default="10")


def pytest_configure(config: pytest.Config) -> None:
    seconds = config.getini("slow_test_seconds")
    try:
        config.stash[BUDGET] = float(seconds)
    except ValueError:
        message = f"slow_test_seconds in pyproject.toml is {seconds!r}, and has to be a number"
        raise pytest.UsageError(message) from None


def pytest_enter_pdb(config: pytest.Config) -> None:
    config.stash[DEBUGGED] = True


GUARD = Guard(
    "slow",
    why="a suite that is slow is run seldom, and a test that waits by the clock fails on a machine that is busy.",
    instead="look for a sleep, a retry, a timeout that is real, or rows by the thousand; or slow_test_seconds = 30 in "
    "pyproject.toml.",
    call=_timed,
)
