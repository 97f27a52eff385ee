"""`os._exit()` fails the test that calls it, in any thread: it would end the run without a report, or with success.

From the import of `tests`, before the application is imported, the call raises an exception instead: a module may keep
the function. In a forked child it ends the child.
"""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import pytest

from ..core.project import is_governed
from ..core.source_lines import place_of_call

# These end the process of a worker, a run that hangs, or what is debugged.
MAY_END = {"execnet", "pytest_timeout", "xdist", "_pydevd_bundle", "debugpy"}
# They pass an exception on to the test.
PASS_ON = {"concurrent", "anyio"}
# `os` has its function of the other, `posix` or `nt`.
MODULES: list[Any] = [os, sys.modules[os.name]]

MESSAGE = (
    "os._exit({}) was called{}, and would have ended the run without a report:\n  {}\n"
    "Run this code in another process, with subprocess or multiprocessing, or replace the call: "
    'monkeypatch.setattr("os._exit", …)'
)


class ProcessEnd:
    """Replaces `os._exit()` in this process, from `install` to `restore`."""

    def __init__(self) -> None:
        self._owner, self._real, self._root = 0, os._exit, Path()
        self._item: pytest.Item | None = None
        # One object: to restore only what nobody else has replaced.
        self._replacement = self._refuse

    def install(self) -> None:
        """Replace the function."""
        self._owner = os.getpid()
        for module in MODULES:
            module._exit = self._replacement

    def configure(self, config: pytest.Config) -> None:
        """Replace the function until the run ends; what has kept the replacement raises later too."""
        self._root = config.rootpath
        self.install()
        config.add_cleanup(self.restore)

    def restore(self) -> None:
        """Put the real function back."""
        for module in MODULES:
            if module._exit is self._replacement:
                module._exit = self._real

    @contextmanager
    def refusing(self, item: pytest.Item) -> Iterator[None]:
        """Let a call fail this test."""
        self._item = item
        item.stash.setdefault(CALLS, [])
        try:
            yield
        finally:
            self._item = None

    def _refuse(self, status: int) -> NoReturn:
        item, caller = self._item, sys._getframe().f_back
        is_free = item is not None and not is_governed(item)
        if os.getpid() != self._owner or is_free or _top_module(caller) in MAY_END:
            self._real(status)
        thread = threading.current_thread()
        where = "" if thread is threading.main_thread() else f" in thread {thread.name}"
        place = place_of_call(self._root) or ("the thread's target" if where else "no line of the project")
        message = MESSAGE.format(status, where, place)
        if item is not None:
            item.stash[CALLS].append(message)
        # The interpreter ends a thread at SystemExit without a word. The report has the message.
        if where and not _passes_on():
            raise SystemExit
        raise pytest.fail.Exception(message, pytrace=False)


PROCESS_END = ProcessEnd()


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
        if _top_module(frame) in PASS_ON:
            return True
    return False


def _top_module(frame: FrameType | None) -> str:
    """The name of the top package of the code of a frame; "" for what the interpreter calls itself."""
    return str(frame.f_globals.get("__name__")).partition(".")[0] if frame is not None else ""
