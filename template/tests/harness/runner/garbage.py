"""What is loaded before the first test stays to the end, so the garbage collector need not go through it again.

An application and its libraries are 150,000 objects. Looking at all of them over and over took a sixth of the time of a
suite of 137 tests. What a test makes is looked through once, when it ends. So a file, a socket or a coroutine that it
leaves in a reference cycle is reported by that test if it has passed, and never by a later one in which the collector
happens to run. It takes 0.1 ms for a test with a database, and 0.03 ms for another.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

import pytest

from ..guards.base import OUTCOME

IS_COLLECTED = pytest.StashKey[bool]()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    # What importing has left behind, and not closed, is still to be reported.
    gc.collect()
    gc.freeze()


@contextmanager
def collecting_after_teardown(item: pytest.Item) -> Iterator[None]:
    """To be the outermost: plugins of pytest's own keep tracebacks, and so a test's variables, as long as it lasts."""
    has_passed, is_enabled = item.stash.get(OUTCOME, "") == "passed", gc.isenabled()
    if not has_passed:
        # What a test has left open that failed, or was skipped, mostly follows from that. pytest reports it in the
        # tear-down if the collector happens to run before: so it runs here, and not again until the end.
        with suppress(Exception):
            _collect(item)
        gc.disable()
    try:
        yield
    finally:
        if is_enabled:
            gc.enable()
    item.stash[IS_COLLECTED] = True
    with nullcontext() if has_passed else suppress(Exception):
        _collect(item)


@contextmanager
def collecting_after_errors(item: pytest.Item) -> Iterator[None]:
    """What a test has left of which an error in the tear-down kept hold until it was reported."""
    try:
        yield
    finally:
        # An error of its tear-down has kept what it has left, and is reported by now.
        if IS_COLLECTED not in item.stash:
            with suppress(Exception):
                _collect(item)


def _collect(item: pytest.Item) -> None:
    """Let go of what the test has left; raises what `filterwarnings` says is an error."""
    # A test that failed is kept here for a debugger, until the next one runs.
    for name in ("last_exc", "last_type", "last_value", "last_traceback"):
        vars(sys).pop(name, None)
    gc.collect()
    gc.freeze()
    unraisable = item.config.pluginmanager.get_plugin("unraisableexception")
    if unraisable is not None:
        unraisable.pytest_runtest_teardown(item)
