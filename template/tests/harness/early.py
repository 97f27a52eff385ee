"""Refuses connections and `os._exit()` as soon as it is imported, before conftest.py imports the application.

That is so if `tests/__init__.py` imports it, or if a conftest.py above loads the harness. A process that a test starts,
and that imports `tests` without running pytest, may connect, and end itself.
"""

import sys
from pathlib import Path
from types import FrameType

import pytest

from .connections.process import PROCESS_REDIRECT
from .core.project import shown
from .core.run import add_to_summary
from .core.source_lines import HARNESS, is_of_project
from .imported_before import HAS_DRIVER, IMPORTED_BEFORE
from .runner.process_end import PROCESS_END

TOO_LATE = "savepoint: {} was imported before the harness, so its connections were not refused. {}"
INTO_TESTS = "Write into {0}: import {1}  # noqa: F401"
INTO_CONFTEST = "Write into {0}, before other imports: import {1}  # noqa: F401  # isort: skip"
# A plugin of pytest's has imported the application.
BY_PLUGIN = "Load it first: python -m pytest -p {1}"


def configure(config: pytest.Config) -> None:
    """Warn of a module of the application that was imported before, and may have connected."""
    tests = HARNESS.parent
    files = {name: Path(file) for name, file in IMPORTED_BEFORE.items() if file is not None}
    early = [name for name, file in files.items() if is_of_project(file, config.rootpath) and _is_of_others(name, file)]
    if early and HAS_DRIVER:
        above = [file for file in files.values() if file.name == "conftest.py" and file.parent in tests.parents]
        where = min(above, default=tests / "__init__.py", key=lambda file: len(file.parts))
        remedy = INTO_CONFTEST if above else INTO_TESTS
        if where.is_file() and __name__ in where.read_text(encoding="utf-8"):
            remedy = BY_PLUGIN
        add_to_summary(config, "outdated", TOO_LATE.format(early[-1], remedy.format(shown(where, config), __name__)))


def _is_of_others(name: str, file: Path) -> bool:
    """Whether a module is none of the tests, and no package in which they are."""
    is_above = __name__.startswith(f"{name}.")
    return not is_above and not file.is_relative_to(HARNESS.parent) and file.name != "conftest.py"


def _is_run_by_pytest() -> bool:
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__") == "_pytest.config":
            return True
        frame = frame.f_back
    return False


if _is_run_by_pytest():
    PROCESS_REDIRECT.listen(is_late=HAS_DRIVER)
    PROCESS_END.install()
