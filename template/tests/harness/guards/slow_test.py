"""Guard: no test function takes longer than `slow_test_seconds` (10 by default); fixtures do not count."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

import pytest

from ..core.settings import settings_of
from .base import Guard

# Time in pytest's debugger does not count.
DEBUGGED = pytest.StashKey[bool]()


@contextmanager
def _timed(item: pytest.Item) -> Iterator[None]:
    began = perf_counter()
    yield
    seconds, limit = perf_counter() - began, settings_of(item.config).slow_test_seconds
    if seconds > limit and not item.config.stash.get(DEBUGGED, False):
        GUARD.fires(item, f"the test took {seconds:.1f} s; the limit is {limit:g} s.")


def pytest_enter_pdb(config: pytest.Config) -> None:
    config.stash[DEBUGGED] = True


GUARD = Guard(
    "slow_test",
    why="A slow suite is run less often, and a test that waits for a clock fails on a busy machine.",
    instead="Look for sleeps, retries, real timeouts, or thousands of rows; or raise the limit: slow_test_seconds = 30 "
    "under [tool.savepoint] in pyproject.toml.",
    call=_timed,
    formerly="slow",
    # It depends on the machine.
    is_repeatable=False,
)
