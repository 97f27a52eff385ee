"""Where in the project an exception came from: the few frames of a traceback that its reader can act on."""

import sysconfig
import traceback
from pathlib import Path

HARNESS = Path(__file__).parent
# A virtual environment usually stands inside the project.
INSTALLED = Path(sysconfig.get_path("purelib"))


def is_of_project(path: Path, root: Path) -> bool:
    """Whether a source file is the project's own: below `root`, and neither the harness's nor installed."""
    return path.is_relative_to(root) and not path.is_relative_to(INSTALLED) and not path.is_relative_to(HARNESS)


def places(error: BaseException, root: Path) -> list[str]:
    """The frames in the project's own files, as `path:line, in function`."""
    found = []
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if is_of_project(path, root):
            found.append(f"{path.relative_to(root)}:{frame.lineno}, in {frame.name}")
    return found
