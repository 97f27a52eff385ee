"""Guard: a test leaves no environment variable changed.

What a library sets when it is imported stays, since it is imported once: the first test that needs it does not matter.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from ..core.audit_hook import listen, stop_listening
from ..core.source_lines import is_of_project
from .base import Guard

# Set by pytest during each phase of a test.
OF_PYTEST = "PYTEST_CURRENT_TEST"

EVENTS = {"os.putenv", "os.unsetenv"}


class Environment:
    """The environment variables. They are read again only after an audit event of a change: reading takes 0.05 ms.

    Attributes:
        changes: the number of changes.
        root: the project's folder.
    """

    def __init__(self) -> None:
        self.changes = 0
        self.root = Path("/")
        self._ignored = {OF_PYTEST}
        self._variables: dict[str, str] = {}
        self._is_current = False

    def on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Handle an audit event."""
        if (name := os.fsdecode(arguments[0])) in self._ignored:
            return
        self._is_current = False
        if _is_import_of_library(self.root):
            self._ignored.add(name)
        else:
            self.changes += 1

    def is_ignored(self, name: str) -> bool:
        """Whether a variable is pytest's own, or was set by a library that was imported."""
        return name in self._ignored

    def now(self) -> dict[str, str]:
        """All variables except pytest's own, and those of libraries; read-only."""
        if not self._is_current:
            # Before they are read: another thread may change one meanwhile.
            self._is_current = True
            self._variables = {name: value for name, value in os.environ.items() if name not in self._ignored}
        return self._variables


def _is_import_of_library(root: Path) -> bool:
    """Whether the code that runs is called by a module of a library that is being imported."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    # The program's own main module is not imported.
    importer = None if frame is None else frame.f_back
    if frame is None or importer is None or not importer.f_code.co_filename.startswith("<frozen importlib"):
        return False
    return not is_of_project(Path(frame.f_code.co_filename), root)


ENVIRONMENT = Environment()


def configure(config: pytest.Config) -> None:
    ENVIRONMENT.root = config.rootpath
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
    before = {name: value for name, value in before.items() if not ENVIRONMENT.is_ignored(name)}
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
