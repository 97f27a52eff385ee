"""Guard: a test leaves no environment variable changed.

What a library sets when it is imported stays, since it is imported once: the first test that needs it does not matter.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pytest

from ..core.audit_hook import listen, stop_listening
from ..core.source_lines import is_of_project
from .base import Guard

# Set by pytest during each phase of a test.
OF_PYTEST = "PYTEST_CURRENT_TEST"

EVENTS = {"os.putenv", "os.unsetenv"}


class Snapshot(NamedTuple):
    """The variables at one moment, and how many libraries had set until then."""

    variables: dict[str, str]
    imported: int


class Environment:
    """The environment variables. They are read again only after an audit event of a change: reading takes 0.05 ms.

    Attributes:
        changes: the number of changes, without those of libraries.
        root: the project's folder.
    """

    def __init__(self) -> None:
        self.changes = 0
        self.root = Path("/")
        # What libraries set when they were imported, in order; None: they removed it.
        self._imported: list[tuple[str, str | None]] = []
        self._variables: dict[str, str] = {}
        self._is_current = False

    def on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Handle an audit event."""
        name, *value = map(os.fsdecode, arguments)
        if name == OF_PYTEST:
            return
        self._is_current = False
        if _is_import_of_library(self.root):
            self._imported.append((name, value[0] if value else None))
        else:
            self.changes += 1

    def now(self) -> Snapshot:
        """All variables except pytest's own; read-only."""
        if not self._is_current:
            # Before they are read: another thread may change one meanwhile.
            self._is_current = True
            self._variables = {name: value for name, value in os.environ.items() if name != OF_PYTEST}
        return Snapshot(self._variables, len(self._imported))

    def changed(self, since: Snapshot) -> list[str]:
        """The names of the variables that have changed, and are not as an imported library has set them."""
        before, after = since.variables, self.now().variables
        if before == after:
            return []
        imported = self._imported[since.imported :]
        names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        return [name for name in names if (name, after.get(name)) not in imported]


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


def _check(item: pytest.Item, before: Snapshot) -> None:
    names = ENVIRONMENT.changed(before)
    for name in names:
        if name in before.variables:
            os.environ[name] = before.variables[name]
        else:
            del os.environ[name]
    if names:
        # Names only: a value may be a secret.
        GUARD.fires(item, f"the test changed environment variables and did not restore them: {', '.join(names)}.")


GUARD = Guard(
    "leaked_environ",
    why="Later tests would read other settings, and pass or fail depending on the order of tests.",
    instead='Use monkeypatch.setenv("NAME", "value"): pytest restores the variable.',
    fixtures=_restoring,
    formerly="environment",
)
