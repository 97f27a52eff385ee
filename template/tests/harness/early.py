"""Refuses connections and `os._exit()` as soon as it is imported, before conftest.py imports the application.

That is so if `tests/__init__.py` imports it, or if a conftest.py above loads the harness. A process that a test starts,
and that imports `tests` without running pytest, may connect, and end itself.
"""

import sys
from types import FrameType

# Before the harness imports it.
IS_BEFORE_APPLICATION = "sqlalchemy" not in sys.modules

import pytest  # noqa: E402

from .connections.process import PROCESS_REDIRECT  # noqa: E402
from .core.project import shown  # noqa: E402
from .core.run import add_to_summary  # noqa: E402
from .core.source_lines import HARNESS  # noqa: E402
from .runner.process_end import PROCESS_END  # noqa: E402

OUTDATED = (
    "savepoint: connections are not refused while the application is imported, before the harness is. Write into {}: "
    "import {}"
)


def configure(config: pytest.Config) -> None:
    """Warn if the application was imported before, and `tests/__init__.py` does not prevent it."""
    package = HARNESS.parent / "__init__.py"
    text = package.read_text(encoding="utf-8") if package.is_file() else ""
    if not IS_BEFORE_APPLICATION and "harness.early" not in text:
        add_to_summary(config, "outdated", OUTDATED.format(shown(package, config), __name__))


def _is_run_by_pytest() -> bool:
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__") == "_pytest.config":
            return True
        frame = frame.f_back
    return False


if _is_run_by_pytest():
    PROCESS_REDIRECT.listen(is_late=not IS_BEFORE_APPLICATION)
    PROCESS_END.install()
