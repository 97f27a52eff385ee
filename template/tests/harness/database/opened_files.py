"""Records the project's files that migrations read, and remembers them for later runs.

Which files a migration reads is known when it has run: `op.execute(Path("sql/views.sql").read_text())`. Their names are
kept in the user's cache folder, by a digest of the migrations' code. Without that folder, migrations that read such
files run in each run. Not seen: files that another process reads.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..core import audit_hook
from ..core.cache_folder import WEEK, private_cache
from ..transaction.logical_connection import IN_MIGRATION

# `os.listdir` and `os.scandir`: a migration that runs every file of a folder.
OPEN = "open"
LISTED = ("os.listdir", "os.scandir")
EVENTS = {OPEN, *LISTED}
FOLDER = "migrations"


@contextmanager
def recording(root: Path) -> Iterator[set[Path]]:
    """Add each file below `root` that migrations open for reading, and each folder that they list, to the set."""
    found: set[Path] = set()

    def record(event: str, arguments: tuple[Any, ...]) -> None:
        if IN_MIGRATION.get() and (path := _read(event, arguments)) and path.is_relative_to(root) and _is_own(path):
            found.add(path)

    audit_hook.listen(dict.fromkeys(EVENTS, record))
    try:
        yield found
    finally:
        audit_hook.stop_listening(EVENTS)


def content(path: Path) -> bytes:
    """What a migration could read: of a folder, the names of its files; of a missing file, nothing."""
    try:
        if path.is_dir():
            return repr(sorted(entry.name for entry in path.iterdir() if entry.name != "__pycache__")).encode()
        return path.read_bytes()
    except OSError:
        return b""


def remembered(digest: str, root: Path) -> set[Path]:
    """The files that migrations with this digest have read in an earlier run."""
    with suppress(OSError, ValueError, TypeError), private_cache(FOLDER) as folder:
        file = folder / f"{digest}.json"
        names = json.loads(file.read_text(encoding="utf-8"))
        os.utime(file)
        return {root / name for name in names}
    return set()


def remember(digest: str, root: Path, paths: set[Path]) -> None:
    """Keep the names of the files that migrations with this digest have read."""
    with suppress(OSError), private_cache(FOLDER) as folder:
        for file in folder.glob("*.json"):
            if time.time() - file.stat().st_mtime > WEEK:
                file.unlink()
        names = sorted(path.relative_to(root).as_posix() for path in paths)
        (folder / f"{digest}.json").write_text(json.dumps(names), encoding="utf-8")


def _read(event: str, arguments: tuple[Any, ...]) -> Path | None:
    """The path that is read; None for what the import system reads, or for a file that is written."""
    # The listener and the hook of `audit_hook` are between.
    if "importlib" in sys._getframe(3).f_code.co_filename:
        return None
    target = arguments[0]
    if event == OPEN and (set(arguments[1] or "r") & set("wax+") or (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)):
        return None
    if target is None or isinstance(target, int):
        return None
    return Path(os.path.normpath(Path(os.fsdecode(target)).absolute()))


def _is_own(path: Path) -> bool:
    return not {"site-packages", "__pycache__"} & set(path.parts)
