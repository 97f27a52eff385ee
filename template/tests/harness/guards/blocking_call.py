"""Guard: the application's own code does not block the event loop."""

import asyncio
import functools
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from ..core.audit_hook import listen, stop_listening
from ..core.project import is_own_code
from ..core.source_lines import place_of_call
from .base import Guard

SLEEP, PROCESS = "time.sleep", "subprocess.Popen"

PATCH = pytest.MonkeyPatch()


def configure(config: pytest.Config) -> None:
    if sys.version_info >= (3, 13):
        return
    # Before 3.13, Python has no audit event for a sleep. `from time import sleep` is not covered; ruff's ASYNC251 is.
    sleep = time.sleep

    @functools.wraps(sleep)
    def audited_sleep(seconds: float, /) -> None:
        sys.audit(SLEEP, seconds)
        sleep(seconds)

    PATCH.setattr(time, "sleep", audited_sleep)
    config.add_cleanup(PATCH.undo)


@contextmanager
def _watching(item: pytest.Item) -> Iterator[None]:
    reported = set()

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        # A thread has no running loop.
        if asyncio._get_running_loop() is None or (event == PROCESS and not _is_run_by_own_code(item.config)):
            return
        place = place_of_call(item.config.rootpath)
        if place is not None and place not in reported and _is_own(place, item.config):
            reported.add(place)
            call = "time.sleep()" if event == SLEEP else "a subprocess"
            GUARD.fires(item, f"{call} blocked the event loop:\n  {place}")

    listen({SLEEP: on_event, PROCESS: on_event})
    try:
        yield
    finally:
        stop_listening({SLEEP, PROCESS})


def _is_own(place: str, config: pytest.Config) -> bool:
    return is_own_code(config.rootpath / place.partition(":")[0], config)


def _is_run_by_own_code(config: pytest.Config) -> bool:
    """Whether the project's own code calls `subprocess`, and not asyncio or another library."""
    frame: FrameType | None = sys._getframe(3)
    while frame is not None and frame.f_globals.get("__name__") == "subprocess":
        frame = frame.f_back
    return frame is not None and is_own_code(Path(frame.f_code.co_filename), config)


GUARD = Guard(
    "blocking_call",
    why="While it blocks, the process handles no other request, and no timeout fires.",
    instead="Use asyncio.sleep(), asyncio.create_subprocess_exec(), or asyncio.to_thread() for other blocking calls.",
    call=_watching,
    formerly="blocking",
)
