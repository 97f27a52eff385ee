"""Guard: environment variables are after a test what they were before it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ..core.audit_hook import listen, stop_listening
from .base import Guard

# pytest's own, changed as a test goes through its phases.
OF_PYTEST = "PYTEST_CURRENT_TEST"

EVENTS = {"os.putenv", "os.unsetenv"}


class Environment:
    """The variables as they are, read anew only if Python says that one was changed: reading all takes 0.05 ms.

    Attributes:
        changes: how often one was changed.
    """

    def __init__(self) -> None:
        self.changes = 0
        self._variables: dict[str, str] = {}
        self._is_current = False

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Listen to Python's events of that name."""
        if os.fsdecode(arguments[0]) != OF_PYTEST:
            self._is_current = False
            self.changes += 1

    def now(self) -> dict[str, str]:
        """All variables but pytest's own; not to be written to."""
        if not self._is_current:
            # Before they are read: another thread may change one meanwhile.
            self._is_current = True
            self._variables = {name: value for name, value in os.environ.items() if name != OF_PYTEST}
        return self._variables


ENVIRONMENT = Environment()


def configure(config: pytest.Config) -> None:
    listen(dict.fromkeys(EVENTS, ENVIRONMENT.hear))
    config.add_cleanup(lambda: stop_listening(EVENTS))


@contextmanager
def _put_back(item: pytest.Item) -> Iterator[None]:
    before = ENVIRONMENT.now()
    try:
        yield
    finally:
        _look(item, before)


def _look(item: pytest.Item, before: dict[str, str]) -> None:
    after = ENVIRONMENT.now()
    if after == before:
        return
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    for name in names:
        if name in before:
            os.environ[name] = before[name]
        else:
            del os.environ[name]
    # Names alone: a value may be a secret.
    GUARD.fires(item, f"the test changed the environment and left it so: {', '.join(names)}.")


GUARD = Guard(
    "leaked_environ",
    why="whichever test comes next reads other settings, and passes or fails by the order of tests.",
    instead='monkeypatch.setenv("NAME", "value"), which is undone.',
    fixtures=_put_back,
    formerly="environment",
)
