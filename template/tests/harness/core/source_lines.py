"""The place in the project where an exception or a call came from: the frames of the stack in the project's files."""

import sys
import sysconfig
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

# Not an import statement, which mypy would reject: greenlet has no types unless stubs are installed.
current_greenlet: Callable[[], Any] = import_module("greenlet").getcurrent

HARNESS = Path(__file__).parents[1]
# A virtual environment is usually inside the project; `bin/pytest` is at the bottom of every stack.
EXCLUDED_FOLDERS = [HARNESS, Path(sysconfig.get_path("purelib")), Path(sysconfig.get_path("scripts"))]


def is_of_project(path: Path, root: Path) -> bool:
    """Whether a source file belongs to the project: below `root`, and not in the harness or an installed package."""
    return path.is_relative_to(root) and not any(path.is_relative_to(folder) for folder in EXCLUDED_FOLDERS)


def places(error: BaseException, root: Path) -> list[str]:
    """The frames in files of the project, as `path:line, in function`."""
    found = []
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if is_of_project(path, root):
            found.append(f"{path.relative_to(root)}:{frame.lineno}, in {frame.name}")
    return found


def place_of_call(root: Path) -> str | None:
    """The innermost frame of the current stack in a file of the project, as `path:line, in function`."""
    # SQLAlchemy runs drivers in greenlets. A stack ends where its greenlet begins, so the parents are added.
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


# A cache by project folder. A few dozen frames per connection, in the same few files: 0.3 ms without it.
_FILES: dict[Path, dict[str, Path | None]] = {}


def _path_in_project(file: str, root: Path) -> Path | None:
    path = Path(file)
    return path.relative_to(root) if is_of_project(path, root) else None
