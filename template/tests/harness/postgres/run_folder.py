"""One folder per run, for the server and for what the workers tell each other; gone when the run is over.

Two things say that a run is alive. Whoever uses the folder holds a shared lock on its file `lock`, and a folder that
nobody holds is swept by the next run. The process that made it, which is pytest, or its controller if there are xdist
workers, holds the pipe `alive` open: the supervisor reads its end there, also after `kill -9`.
"""

import fcntl
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PREFIX = "savepoint-"
TMPFS = Path("/dev/shm")

# A cluster is 39 MB, its log up to 256, a clone 8. Docker gives a container 64 MB of /dev/shm.
ROOM = 600_000_000

# The address of a Unix socket has room for 104 bytes on macOS, and 108 on Linux.
LONGEST_BASE = 60

SUPERVISOR = Path(__file__).with_name("supervisor.py")


class RunFolder:
    """The folder of this run."""

    def __init__(self, path: Path) -> None:
        """Use a folder that another process of this run has made."""
        self.path = path
        self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        self._alive: int | None = None
        self._supervisor: subprocess.Popen[str] | None = None

    @classmethod
    def make(cls) -> "RunFolder":
        """Make the folder of this run, and remove those of runs that are over."""
        for base in dict.fromkeys([TMPFS, Path(tempfile.gettempdir())]):
            _sweep(base)
        while True:
            path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_base()))
            with suppress(FileNotFoundError):
                folder = cls(path)
                if (path / "lock").exists():
                    break
            # Another run's sweep came between the folder and its lock.
        os.mkfifo(path / "alive", 0o600)
        # Read and write: opened for writing alone, it would wait for a reader.
        folder._alive = os.open(path / "alive", os.O_RDWR)
        return folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One worker of this run at a time."""
        with (self.path / "starting").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def tell(self, name: str, content: dict[str, Any]) -> None:
        """Leave a note for the other workers; it may hold a password, so it is for our user alone."""
        note = self.path / name
        note.touch(mode=0o600, exist_ok=False)
        note.write_text(json.dumps(content))

    def told(self, name: str) -> dict[str, Any] | None:
        """The note that another worker has left, or None."""
        try:
            content: dict[str, Any] = json.loads((self.path / name).read_text())
        except FileNotFoundError:
            return None
        return content

    def supervise(self, plan: dict[str, Any]) -> str | None:
        """Start a supervisor, which carries out `plan` (see `supervisor.py`); returns what went wrong, or None."""
        plan = {"folder": str(self.path), **plan}
        supervisor = subprocess.Popen(
            [sys.executable, "-I", "-S", SUPERVISOR],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A session of its own: Ctrl-C goes to pytest, which has to end its tests before the server goes.
            start_new_session=True,
        )
        # Before anything can fail or be interrupted: `close` waits for it.
        self._supervisor = supervisor
        assert supervisor.stdin is not None
        assert supervisor.stdout is not None
        with supervisor.stdin as stdin:
            json.dump(plan, stdin)
        with supervisor.stdout as stdout:
            answer = stdout.readline().strip()
        if answer == "ready":
            return None
        supervisor.wait()
        self._supervisor = None
        return answer or "the supervisor of the server ended without a word"

    def halt(self) -> None:
        """Shut the server down, if one runs, so that its data can be copied; the folder is for another one then."""
        if self._supervisor is None:
            return
        with (self.path / "alive").open("wb", buffering=0) as pipe:
            pipe.write(b"h")
        self._supervisor.wait()
        self._supervisor = None

    def keep(self) -> int:
        """Let the server outlive the run; returns the process that ends it, and removes the folder, when killed."""
        (self.path / "keep").touch()
        return int((self.path / "supervised").read_text())

    def close(self) -> None:
        """Leave the folder; who made it ends the run with that, and waits until nothing of it is left."""
        is_ours = self._alive is not None and not (self.path / "keep").exists()
        if self._alive is not None:
            os.close(self._alive)
            self._alive = None
        if is_ours:
            deadline = time.monotonic() + 20
            while (self.path / "supervised").exists() and time.monotonic() < deadline:
                time.sleep(0.005)
            if self._supervisor is not None:
                self._supervisor.wait(20)
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _base() -> Path:
    """Tmpfs where there is one with room: it matters more than all settings of the server together."""
    with suppress(OSError):
        facts = os.statvfs(TMPFS)
        if os.access(TMPFS, os.W_OK | os.X_OK) and facts.f_bavail * facts.f_frsize >= ROOM:
            return TMPFS
    base = Path(tempfile.gettempdir())
    return base if len(os.fsencode(base)) <= LONGEST_BASE else Path("/tmp")


def _sweep(base: Path) -> None:
    """Remove the folders of our user's runs that ended without a word: nobody holds their locks.

    A server that still runs in one, because its supervisor was killed, misses its `postmaster.pid` within a minute and
    ends.
    """
    for path in base.glob(f"{PREFIX}*"):
        with suppress(OSError):
            facts = path.lstat()
            if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():
                continue
            lock = os.open(path / "lock", os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)
