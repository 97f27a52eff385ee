"""Refuses connections and `os._exit()` as soon as `tests` is imported, before conftest.py imports the application.

A process that a test starts, and that imports `tests` without running pytest, may connect, and end itself.
"""

import sys
from types import FrameType

from .connections.process import PROCESS_REDIRECT
from .runner.process_end import PROCESS_END


def _is_run_by_pytest() -> bool:
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__") == "_pytest.config":
            return True
        frame = frame.f_back
    return False


if _is_run_by_pytest():
    PROCESS_REDIRECT.listen()
    PROCESS_END.install()
