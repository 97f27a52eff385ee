"""Stopped clusters in the user's cache folder: initdb and the migrations have run in them, and need not run again.

A run copies one into its folder and starts it there, in 0.1 s instead of as long as all migrations take. An entry is
written whole or not at all, is never written to again, and goes when it has not been used for a week, or when there
are many. What cannot be read or written is done without.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from . import settings
from .binaries import Binaries
from .privileges import User

# To be changed with what is in a cluster, or how it is kept.
FORMAT = 1

WEEK = 7 * 24 * 3600
MOST = 5


@dataclass(frozen=True)
class Schema:
    """What a cluster holds beside an empty database.

    Args:
        digest: changes whenever something in the project could make it another.
        build: makes it on a server if it is not there; whether it had to be made.
        is_new: it is to be made in any case.
    """

    digest: str
    build: Callable[..., bool]
    is_new: bool


class Clusters:
    """The entry for one schema and one build of PostgreSQL."""

    def __init__(self, schema: Schema, binaries: Binaries) -> None:
        facts = (binaries.folder / "postgres").stat()
        build = (binaries.version, facts.st_size, facts.st_mtime_ns, platform.machine(), settings.SETTINGS)
        digest = hashlib.sha256(repr((FORMAT, schema.digest, build)).encode()).hexdigest()
        self._is_new = schema.is_new
        self.folder = _cache_home() / "savepoint" / "clusters"
        self.entry = self.folder / digest[:24]

    def copy_to(self, data: Path, user: User | None) -> bool:
        """Fill `data`, an empty folder, for a server that runs as `user`; whether there was something to copy."""
        if self._is_new:
            return False
        try:
            with self._locked(fcntl.LOCK_SH):
                if not _is_ours(self.entry):
                    return False
                _copy(self.entry, data, user)
                os.utime(self.entry)
        except OSError:
            _empty(data)
            return False
        return True

    def write(self, data: Path) -> None:
        """Keep the cluster in `data`, whose server has been shut down; an entry that is there is replaced."""
        with suppress(OSError), self._locked(fcntl.LOCK_EX):
            self._sweep()
            whole = Path(tempfile.mkdtemp(prefix="writing-", dir=self.folder))
            try:
                _copy(data, whole, None)
                shutil.rmtree(self.entry, ignore_errors=True)
                whole.rename(self.entry)
            finally:
                shutil.rmtree(whole, ignore_errors=True)

    def discard(self) -> None:
        """Remove the entry: no server came of it."""
        with suppress(OSError), self._locked(fcntl.LOCK_EX):
            shutil.rmtree(self.entry, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove what a killed run has left half written, what is old, and the oldest of what is too much."""
        entries = []
        for path in self.folder.iterdir():
            if path.name.startswith("writing-"):
                shutil.rmtree(path, ignore_errors=True)
            elif path.is_dir():
                entries.append(path)
        entries.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for number, path in enumerate(entries, 1):
            if number >= MOST or time.time() - path.stat().st_mtime > WEEK:
                shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_ours(self.folder):
            raise PermissionError(f"{self.folder} is somebody else's")
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, how)
            yield
        finally:
            os.close(lock)


def _cache_home() -> Path:
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        # A user whom the machine does not know. Nothing can be made there, so there is no cache.
        return Path(os.devnull)


def _is_ours(folder: Path) -> bool:
    """Whether it is a folder that nobody else can have put something into."""
    try:
        facts = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid() and not facts.st_mode & 0o022


def _copy(source: Path, target: Path, user: User | None) -> None:
    """Fill `target`, an empty folder, with copies that `user` alone may read, or ours.

    In one pass: a cluster is 1,300 small files, and `shutil.copytree` and then a mode and an owner for each took twice
    as long.
    """
    for folder, folders, files in os.walk(source):
        copies = target / Path(folder).relative_to(source)
        for name in folders:
            (copies / name).mkdir(mode=0o700)
            if user is not None:
                os.chown(copies / name, user.uid, user.gid)
        for name in files:
            with Path(folder, name).open("rb", 0) as read, _private(copies / name) as written:
                if user is not None:
                    os.fchown(written.fileno(), user.uid, user.gid)
                shutil.copyfileobj(read, written, 2**20)


def _private(path: Path) -> FileIO:
    return FileIO(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
