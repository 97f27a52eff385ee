"""Tracebacks that show the project: the frames of installed packages are left out, SQLAlchemy's forty first of all.

So are the errors of a driver that SQLAlchemy has made its own of, since they say the same. Sixty tests that failed
for one reason took a minute to print, and take two seconds. `--full-trace` shows everything.
"""

from pathlib import Path
from types import TracebackType

import pytest

from .places import is_of_project


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    if call.excinfo is not None and not item.config.getoption("fulltrace"):
        _shorten(call.excinfo.value, item.config.rootpath, set())


def _shorten(error: BaseException, root: Path, seen: set[int], *, is_cause: bool = False) -> bool:
    """Hide frames of the error and of those that it came from; whether it went through the project at all."""
    if id(error) in seen:
        return False
    seen.add(id(error))
    frames = _frames(error.__traceback__)
    is_ours = any(is_of_project(path, root) for path, _ in frames)
    for part in getattr(error, "exceptions", ()):
        _shorten(part, root, seen, is_cause=is_cause)
    cause, context, known = error.__cause__, error.__context__, is_ours or is_cause
    if cause is not None and not _shorten(cause, root, seen, is_cause=known) and _says_the_same(error, cause):
        error.__cause__ = None
    if context is not None and not _shorten(context, root, seen, is_cause=known) and _says_the_same(error, context):
        error.__suppress_context__ = error.__cause__ is None
    if not known:
        # An error of the harness itself, perhaps: pytest shows what there is.
        return False
    for path, names in frames:
        # Not pytest's own, which pytest leaves out by itself: hidden for good, they end the run at the next test that
        # a mark skips, whose traceback has no others.
        if not is_of_project(path, root) and "_pytest" not in path.parts:
            # What pytest looks for in a frame, among its local names and its global ones.
            names["__tracebackhide__"] = True
    return is_ours


def _says_the_same(error: BaseException, cause: BaseException) -> bool:
    return str(cause) in str(error)


def _frames(traceback: TracebackType | None) -> list[tuple[Path, dict[str, object]]]:
    frames = []
    while traceback is not None:
        frames.append((Path(traceback.tb_frame.f_code.co_filename), traceback.tb_frame.f_globals))
        traceback = traceback.tb_next
    return frames
