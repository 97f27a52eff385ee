"""`os._exit()` in a test fails the test, in any thread: it would end the run without a report, perhaps with success.

The call raises an exception instead. In a forked child it ends the child.
"""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest

from ..core.project import is_governed
from ..core.source_lines import place_of_call

# These end the process of a worker, or of a run that hangs.
MAY_END = {"execnet", "pytest_timeout", "xdist"}
# They pass an exception on to the test.
PASS_ON = {"concurrent", "anyio"}

MESSAGE = (
    "os._exit({}) was called{}, and would have ended the run without a report:\n  {}\n"
    "Run this code in another process, with subprocess or multiprocessing, or replace the call: "
    'monkeypatch.setattr("os._exit", …)'
)


@contextmanager
def refusing(item: pytest.Item) -> Iterator[None]:
    """Makes `os._exit()` raise an exception in this process, if the test is governed."""
    if not is_governed(item):
        yield
        return
    real, owner, calls = os._exit, os.getpid(), item.stash.setdefault(CALLS, [])

    def refuse(status: int) -> NoReturn:
        caller = sys._getframe(1)
        if os.getpid() != owner or str(caller.f_globals.get("__name__")).partition(".")[0] in MAY_END:
            real(status)
        thread = threading.current_thread()
        where = "" if thread is threading.main_thread() else f" in thread {thread.name}"
        message = MESSAGE.format(status, where, place_of_call(item.config.rootpath) or "the thread's target")
        calls.append(message)
        # The interpreter ends a thread at SystemExit without a word. The report has the message.
        if where and not _passes_on():
            raise SystemExit
        raise pytest.fail.Exception(message, pytrace=False)

    os._exit = refuse
    try:
        yield
    finally:
        if os._exit is refuse:
            os._exit = real


def report_calls(item: pytest.Item, report: pytest.TestReport) -> None:
    """Fail the phase in which the call was made, also if the exception was caught."""
    for message in item.stash.get(CALLS, []):
        text = report.longreprtext if report.failed else ""
        report.outcome = "failed"
        report.longrepr = text if message in text else "\n\n".join(filter(None, [message, text]))
    item.stash.get(CALLS, []).clear()


CALLS = pytest.StashKey[list[str]]()


def _passes_on() -> bool:
    frame = sys._getframe(1)
    while frame.f_back is not None:
        frame = frame.f_back
        if str(frame.f_globals.get("__name__")).partition(".")[0] in PASS_ON:
            return True
    return False
