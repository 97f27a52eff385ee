"""The folder of the harness in the user's cache folder: no other user can read it, write to it, or hold its locks.

If it cannot be used, `OSError` is raised, and the caller works without it: no HOME, no right to write, a system without
`fcntl` (Windows), a folder that belongs to another user.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

WEEK = 7 * 24 * 3600


def cache_folder(name: str) -> Path:
    """A folder of the harness's in the user's cache folder; it need not exist."""
    return _cache_home() / "savepoint" / name


@contextmanager
def private_cache(name: str, *, shared: bool = False) -> Iterator[Path]:
    """Create a folder of the user's cache folder if it is missing, and lock it; raises `OSError`.

    Args:
        name: of the folder.
        shared: whether other processes may hold a shared lock at the same time.
    """
    if not HAS_LOCKS:
        raise OSError("this system has no flock")
    folder = cache_folder(name)
    for path in (*reversed(folder.parents), folder):
        # Not `parents=True`, with which other users could write to the parents if the umask is 0.
        if not path.exists():
            path.mkdir(mode=0o700, exist_ok=True)
        if path == folder.parent and is_owned(path):
            path.chmod(0o700)
        if path in (folder.parent, folder) and not is_private(path):
            raise PermissionError(f"other users can write to {path}")
    file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        # One that another user can read, they could lock.
        os.fchmod(file, 0o600)
        fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(file)


def is_private(folder: Path) -> bool:
    """Whether this is a folder that only the current user can write to."""
    return is_owned(folder) and not folder.lstat().st_mode & 0o022


def is_owned(folder: Path) -> bool:
    """Whether this is a folder, and not a symlink, that belongs to the current user."""
    try:
        facts = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid()


def _cache_home() -> Path:
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        # The machine does not know the user ID. No folder can be created in /dev/null, so there is no cache.
        return Path(os.devnull)
