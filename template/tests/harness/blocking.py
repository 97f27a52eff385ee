"""Guard: nothing in the application's own code blocks the event loop, on which everything else waits."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from .audit import listen, stop_listening
from .guards import Guard
from .places import place_of_call

SLEEP, PROCESS = "time.sleep", "subprocess.Popen"


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
    "blocking",
    why="while it lasts, no other request of that process is answered, and no timeout fires.",
    instead="await asyncio.sleep(), asyncio.create_subprocess_exec(), or asyncio.to_thread() for what can only block.",
    call=_watching,
)
