"""Refuses connections and `os._exit()` as soon as it is imported, before conftest.py imports the application.

That is so if `tests/__init__.py` imports it, or if a conftest.py above loads the harness. A process that a test starts,
and that imports `tests` without running pytest, may connect, and end itself.
"""

import sys
from pathlib import Path
from types import FrameType

# By module: the files of those that were imported before the harness imports others.
IMPORTED_BEFORE = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}

import pytest  # noqa: E402

from .connections.process import PROCESS_REDIRECT  # noqa: E402
from .core.project import shown  # noqa: E402
from .core.run import add_to_summary  # noqa: E402
from .core.source_lines import HARNESS, is_of_project  # noqa: E402
from .runner.process_end import PROCESS_END  # noqa: E402

TOO_LATE = (
    "savepoint: {} was imported before the harness, so its connections were not refused. Write into {}, before other "
    "imports: import {}"
)


def configure(config: pytest.Config) -> None:
    """Warn of a module of the application that was imported before."""
    tests = HARNESS.parent
    files = {name: Path(file) for name, file in IMPORTED_BEFORE.items() if file is not None}
    early = [
        name
        for name, file in files.items()
        if is_of_project(file, config.rootpath) and not file.is_relative_to(tests) and file.name != "conftest.py"
    ]
    if early and "sqlalchemy" in files:
        # A conftest.py above the tests is imported before `tests`.
        above = config.rootpath / "conftest.py"
        where = above if str(above) in IMPORTED_BEFORE.values() else tests / "__init__.py"
        add_to_summary(config, "outdated", TOO_LATE.format(early[0], shown(where, config), __name__))


def _is_run_by_pytest() -> bool:
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__") == "_pytest.config":
            return True
        frame = frame.f_back
    return False


if _is_run_by_pytest():
    PROCESS_REDIRECT.listen(is_late="sqlalchemy" in IMPORTED_BEFORE)
    PROCESS_END.install()
