"""Python's audit events, which announce an operation before it happens.

They cover every socket and every sleep of the process, in all threads and libraries. Not covered: libpq, uvloop, other
processes. See https://docs.python.org/3/library/audit_events.html.
"""

import sys
from collections.abc import Callable
from typing import Any

Listener = Callable[[str, tuple[Any, ...]], None]

# By event. Listeners can be removed; the audit hook itself cannot.
LISTENERS: dict[str, Listener] = {}


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    # Called for every import and every opened file, so it must be fast.
    if event in LISTENERS:
        LISTENERS[event](event, arguments)


def listen(listeners: dict[str, Listener]) -> None:
    """Call a listener before each operation that its event announces; an exception stops the operation."""
    global _is_installed
    if not _is_installed:
        sys.addaudithook(_hook)
        _is_installed = True
    LISTENERS.update(listeners)


def stop_listening(events: set[str]) -> None:
    """Remove the listeners of these events."""
    for event in events:
        LISTENERS.pop(event, None)


_is_installed = False
