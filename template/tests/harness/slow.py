"""Guard: no test takes longer than its budget, its fixtures left out.

A suite becomes slow a test at a time, and each of them only a little.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .guards import Guard


@contextmanager
def _timed(item: pytest.Item) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    budget, seconds = float(item.config.getini("slow_test_seconds")), time.perf_counter() - begun
    if seconds > budget:
        GUARD.fires(item, f"the test took {seconds:.1f} s, and may take {budget:g}.")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        "slow_test_seconds", "How long a test may take, in seconds; the guard `slow` fires then.", default="10"
    )


GUARD = Guard(
    "slow",
    why="a suite that takes minutes is run less often.",
    instead="look where the time goes: `--durations=10`, `--database-report`. slow_test_seconds is the budget of all.",
    call=_timed,
)
