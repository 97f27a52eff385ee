"""Where in the project an exception came from: the few frames of a traceback that its reader can act on."""

import sysconfig
import traceback
from pathlib import Path

HARNESS = Path(__file__).parent
# A virtual environment usually stands inside the project.
INSTALLED = Path(sysconfig.get_path("purelib"))


def places(error: BaseException, root: Path) -> list[str]:
    """The frames in files below `root`, but for the harness and installed packages, as `path:line, in function`."""
    found = []
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if path.is_relative_to(root) and not path.is_relative_to(INSTALLED) and not path.is_relative_to(HARNESS):
            found.append(f"{path.relative_to(root)}:{frame.lineno}, in {frame.name}")
    return found
