"""Guard: nothing in the application's own code blocks the event loop, on which everything else waits."""

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
from ..core.source_lines import place_of_call
from .base import Guard

SLEEP, PROCESS = "time.sleep", "subprocess.Popen"

PATCH = pytest.MonkeyPatch()


def configure(config: pytest.Config) -> None:
    if sys.version_info >= (3, 13):
        return
    # Before 3.13 Python says nothing of a sleep. `from time import sleep` is not seen; ruff's ASYNC251 reads it.
    sleep = time.sleep

    @functools.wraps(sleep)
    def audited_sleep(seconds: float, /) -> None:
        sys.audit(SLEEP, seconds)
        sleep(seconds)

    PATCH.setattr(time, "sleep", audited_sleep)
    config.add_cleanup(PATCH.undo)


@contextmanager
def _watching(item: pytest.Item) -> Iterator[None]:
    seen = set()

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        # In a thread there is no loop.
        if asyncio._get_running_loop() is None or (event == PROCESS and not _is_run_by(item.config.rootpath / "src")):
            return
        place = place_of_call(item.config.rootpath)
        if place is not None and place.startswith("src/") and place not in seen:
            seen.add(place)
            what = "time.sleep()" if event == SLEEP else "a process that is waited for"
            GUARD.fires(item, f"{what} blocks the event loop: {place}.")

    listen({SLEEP: hear, PROCESS: hear})
    try:
        yield
    finally:
        stop_listening({SLEEP, PROCESS})


def _is_run_by(source: Path) -> bool:
    """Whether the project's own code calls `subprocess`, and not asyncio, or a library that asks for the machine."""
    frame: FrameType | None = sys._getframe(3)
    while frame is not None and frame.f_globals.get("__name__") == "subprocess":
        frame = frame.f_back
    return frame is not None and Path(frame.f_code.co_filename).is_relative_to(source)


GUARD = Guard(
    "blocking_call",
    why="while it lasts, no other request of that process is answered, and no timeout fires.",
    instead="await asyncio.sleep(), asyncio.create_subprocess_exec(), or asyncio.to_thread() for what can only block.",
    call=_watching,
    formerly="blocking",
)
