"""Short tracebacks: frames of installed packages are omitted, such as SQLAlchemy's forty.

A driver's error is omitted if SQLAlchemy's error has the same text. This shortens the printing of sixty failed tests
from a minute to two seconds. `--full-trace` shows everything. After the report, the exception is restored: a debugger
has all frames.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import TracebackType

import _pytest
import pytest

from ..core.source_lines import is_of_project

PYTEST = Path(_pytest.__file__).parent


@contextmanager
def shortened(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Shortens the traceback while the report is created."""
    with ExitStack() as undo:
        if (info := call.excinfo) is not None and not item.config.getoption("fulltrace"):
            # pytest caches it: the full one for a debugger, replaced by the short one while it is printed.
            full = info.traceback
            undo.callback(setattr, info, "traceback", full)
            _Shorter(item.config.rootpath, undo.callback).shorten(info.value)
            info.traceback = type(full)(info.tb)
        yield


class _Shorter:
    """Shortens the tracebacks of a chain of exceptions.

    Args:
        root: the project's folder.
        at_end: registers a callback that restores an exception.
    """

    def __init__(self, root: Path, at_end: Callable[[Callable[[], None]], object]) -> None:
        self._root = root
        self._at_end = at_end
        self._seen: set[int] = set()

    def shorten(self, error: BaseException, *, is_cause: bool = False) -> bool:
        """Omit frames of the error and of its causes; returns whether the error has a frame of the project."""
        if id(error) in self._seen:
            return False
        self._seen.add(id(error))
        entries = _entries(error.__traceback__)
        has_project_frame = any(is_of_project(_path(entry), self._root) for entry in entries)
        for part in getattr(error, "exceptions", ()):
            self.shorten(part, is_cause=is_cause)
        cause, context, known = error.__cause__, error.__context__, has_project_frame or is_cause
        self._at_end(partial(_restore, error, error.__traceback__, cause, context, error.__suppress_context__))
        if cause is not None and not self.shorten(cause, is_cause=known) and _has_same_text(error, cause):
            error.__cause__ = None
        if context is not None and not self.shorten(context, is_cause=known) and _has_same_text(error, context):
            error.__suppress_context__ = error.__cause__ is None
        if known:
            # Otherwise it may be an error of the harness, which needs all frames.
            self._cut(error, entries)
        return has_project_frame

    def _cut(self, error: BaseException, entries: list[TracebackType]) -> None:
        # pytest omits its own frames, and needs the first frame.
        kept = [entry for entry in entries if self._is_shown(_path(entry))]
        for entry, following in zip(entries, [*entries[1:], None], strict=False):
            self._at_end(partial(setattr, entry, "tb_next", following))
            entry.tb_next = None
        for entry, following in pairwise(kept):
            entry.tb_next = following
        error.__traceback__ = kept[0] if kept else None

    def _is_shown(self, path: Path) -> bool:
        return is_of_project(path, self._root) or path.is_relative_to(PYTEST)


def _restore(
    error: BaseException,
    traceback: TracebackType | None,
    cause: BaseException | None,
    context: BaseException | None,
    suppressed: bool,
) -> None:
    error.__traceback__ = traceback
    error.__cause__, error.__context__, error.__suppress_context__ = cause, context, suppressed


def _has_same_text(error: BaseException, cause: BaseException) -> bool:
    return type(error).__module__.startswith("sqlalchemy.") and bool(str(cause)) and str(cause) in str(error)


def _entries(traceback: TracebackType | None) -> list[TracebackType]:
    entries = []
    while traceback is not None:
        entries.append(traceback)
        traceback = traceback.tb_next
    return entries


def _path(entry: TracebackType) -> Path:
    return Path(entry.tb_frame.f_code.co_filename)
