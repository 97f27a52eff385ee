"""Tracebacks that show the project: the frames of installed packages are left out, SQLAlchemy's forty first of all.

So are the errors of a driver that SQLAlchemy has made its own of, since they say the same. Sixty tests that failed
for one reason took a minute to print, and take two seconds. `--full-trace` shows everything. An exception is as it was
when its report is made: a debugger has all frames.
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
    """While the report is made: only what prints sees what is left."""
    with ExitStack() as undo:
        if (info := call.excinfo) is not None and not item.config.getoption("fulltrace"):
            # Read once, and kept by pytest: as it is, for a debugger, and then as it is to be printed.
            full = info.traceback
            undo.callback(setattr, info, "traceback", full)
            _Shorter(item.config.rootpath, undo.callback).shorten(info.value)
            info.traceback = type(full)(info.tb)
        yield


class _Shorter:
    """Shortens exceptions for as long as one is printed.

    Args:
        root: the project's folder.
        at_end: is given what puts an exception back.
    """

    def __init__(self, root: Path, at_end: Callable[[Callable[[], None]], object]) -> None:
        self._root = root
        self._at_end = at_end
        self._seen: set[int] = set()

    def shorten(self, error: BaseException, *, is_cause: bool = False) -> bool:
        """Leave out frames of the error and of those that it came from; whether it went through the project at all."""
        if id(error) in self._seen:
            return False
        self._seen.add(id(error))
        entries = _entries(error.__traceback__)
        is_ours = any(is_of_project(_path(entry), self._root) for entry in entries)
        for part in getattr(error, "exceptions", ()):
            self.shorten(part, is_cause=is_cause)
        cause, context, known = error.__cause__, error.__context__, is_ours or is_cause
        self._at_end(partial(_put_back, error, error.__traceback__, cause, context, error.__suppress_context__))
        if cause is not None and not self.shorten(cause, is_cause=known) and _says_the_same(error, cause):
            error.__cause__ = None
        if context is not None and not self.shorten(context, is_cause=known) and _says_the_same(error, context):
            error.__suppress_context__ = error.__cause__ is None
        if known:
            # Or an error of the harness itself, perhaps: pytest shows what there is.
            self._cut(error, entries)
        return is_ours

    def _cut(self, error: BaseException, entries: list[TracebackType]) -> None:
        # pytest leaves out its own by itself, and holds on to the first.
        kept = [entry for entry in entries if self._is_shown(_path(entry))]
        for entry, following in zip(entries, [*entries[1:], None], strict=False):
            self._at_end(partial(setattr, entry, "tb_next", following))
            entry.tb_next = None
        for entry, following in pairwise(kept):
            entry.tb_next = following
        error.__traceback__ = kept[0] if kept else None

    def _is_shown(self, path: Path) -> bool:
        return is_of_project(path, self._root) or path.is_relative_to(PYTEST)


def _put_back(
    error: BaseException,
    traceback: TracebackType | None,
    cause: BaseException | None,
    context: BaseException | None,
    suppressed: bool,
) -> None:
    error.__traceback__ = traceback
    error.__cause__, error.__context__, error.__suppress_context__ = cause, context, suppressed


def _says_the_same(error: BaseException, cause: BaseException) -> bool:
    return type(error).__module__.startswith("sqlalchemy.") and bool(str(cause)) and str(cause) in str(error)


def _entries(traceback: TracebackType | None) -> list[TracebackType]:
    entries = []
    while traceback is not None:
        entries.append(traceback)
        traceback = traceback.tb_next
    return entries


def _path(entry: TracebackType) -> Path:
    return Path(entry.tb_frame.f_code.co_filename)
