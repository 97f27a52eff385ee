"""Where in the project an exception or a call came from: the few frames of a stack that its reader can act on."""

import sys
import sysconfig
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

# Not an import statement, which would be an error of mypy's: greenlet has no types, unless stubs are installed.
current_greenlet: Callable[[], Any] = import_module("greenlet").getcurrent

HARNESS = Path(__file__).parents[1]
# A virtual environment usually stands inside the project; `bin/pytest` is at the bottom of every stack.
NOT_OF_PROJECT = [HARNESS, Path(sysconfig.get_path("purelib")), Path(sysconfig.get_path("scripts"))]


def is_of_project(path: Path, root: Path) -> bool:
    """Whether a source file is the project's own: below `root`, and neither the harness's nor installed."""
    return path.is_relative_to(root) and not any(path.is_relative_to(folder) for folder in NOT_OF_PROJECT)


def places(error: BaseException, root: Path) -> list[str]:
    """The frames in the project's own files, as `path:line, in function`."""
    found = []
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if is_of_project(path, root):
            found.append(f"{path.relative_to(root)}:{frame.lineno}, in {frame.name}")
    return found


def place_of_call(root: Path) -> str | None:
    """The innermost frame in the project's own files that led here, as `path:line, in function`."""
    # SQLAlchemy runs its drivers in greenlets, and a stack ends where its greenlet begins.
    greenlet, known = current_greenlet(), _FILES.setdefault(root, {})
    frame: FrameType | None = sys._getframe(1)
    while greenlet is not None:
        while frame is not None:
            code = frame.f_code
            try:
                path = known[code.co_filename]
            except KeyError:
                path = known[code.co_filename] = _path_in_project(code.co_filename, root)
            if path is not None:
                return f"{path}:{frame.f_lineno}, in {code.co_name}"
            frame = frame.f_back
        greenlet = greenlet.parent
        frame = None if greenlet is None else greenlet.gr_frame
    return None


# By the project's folder. A few dozen frames for each connection, of the same few files: 0.3 ms without this.
_FILES: dict[Path, dict[str, Path | None]] = {}


def _path_in_project(file: str, root: Path) -> Path | None:
    path = Path(file)
    return path.relative_to(root) if is_of_project(path, root) else None
