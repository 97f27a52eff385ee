"""Guard: a test leaves no environment variable changed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ..core.audit_hook import listen, stop_listening
from .base import Guard

# Set by pytest during each phase of a test.
OF_PYTEST = "PYTEST_CURRENT_TEST"

EVENTS = {"os.putenv", "os.unsetenv"}


class Environment:
    """The environment variables. They are read again only after an audit event of a change: reading takes 0.05 ms.

    Attributes:
        changes: the number of changes.
    """

    def __init__(self) -> None:
        self.changes = 0
        self._variables: dict[str, str] = {}
        self._is_current = False

    def on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Handle an audit event."""
        if os.fsdecode(arguments[0]) != OF_PYTEST:
            self._is_current = False
            self.changes += 1

    def now(self) -> dict[str, str]:
        """All variables except pytest's own; read-only."""
        if not self._is_current:
            # Before they are read: another thread may change one meanwhile.
            self._is_current = True
            self._variables = {name: value for name, value in os.environ.items() if name != OF_PYTEST}
        return self._variables


ENVIRONMENT = Environment()


def configure(config: pytest.Config) -> None:
    listen(dict.fromkeys(EVENTS, ENVIRONMENT.on_event))
    config.add_cleanup(lambda: stop_listening(EVENTS))


@contextmanager
def _restoring(item: pytest.Item) -> Iterator[None]:
    before = ENVIRONMENT.now()
    try:
        yield
    finally:
        _check(item, before)


def _check(item: pytest.Item, before: dict[str, str]) -> None:
    after = ENVIRONMENT.now()
    if after == before:
        return
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    for name in names:
        if name in before:
            os.environ[name] = before[name]
        else:
            del os.environ[name]
    # Names only: a value may be a secret.
    GUARD.fires(item, f"the test changed environment variables and did not restore them: {', '.join(names)}.")


GUARD = Guard(
    "leaked_environ",
    why="Later tests would read other settings, and pass or fail depending on the order of tests.",
    instead='Use monkeypatch.setenv("NAME", "value"): pytest restores the variable.',
    fixtures=_restoring,
    formerly="environment",
)
