"""What Python itself says before it does something: https://docs.python.org/3/library/audit_events.html.

It sees every socket and every sleep of the process, in all threads, whichever library asked. It does not see what C
code does by itself: libpq, uvloop, another process.
"""

import sys
from collections.abc import Callable
from typing import Any

Listener = Callable[[str, tuple[Any, ...]], None]

# By event. Whoever listens takes itself out again; a hook itself stays for as long as the process.
LISTENERS: dict[str, Listener] = {}


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    # Called for every import and every file that is opened: one look, and no more.
    if event in LISTENERS:
        LISTENERS[event](event, arguments)


def listen(listeners: dict[str, Listener]) -> None:
    """Call these before what their events announce; what they raise stops it."""
    global _is_installed
    if not _is_installed:
        sys.addaudithook(_hook)
        _is_installed = True
    LISTENERS.update(listeners)


def stop_listening(events: set[str]) -> None:
    """Call nothing any more for these events."""
    for event in events:
        LISTENERS.pop(event, None)


_is_installed = False
