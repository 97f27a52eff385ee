"""The folder of a run, with the server's data and the files that workers share; removed at the end of the run.

Each process that uses the folder holds a shared lock on its file `lock`; the next run removes folders that no process
has locked. The process that created the folder (pytest, or the controller of pytest-xdist) keeps the pipe `alive` open;
the supervisor reads the end of the run there, also after `kill -9`.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from . import leftovers
from .server import NoServerError

PREFIX = "savepoint-"
TMPFS = Path("/dev/shm")

# Bytes: a cluster takes 39 MB, its log up to 256, a clone 8. A Docker container has 64 MB of /dev/shm.
ROOM = 600_000_000

# The address of a Unix socket is limited to 104 bytes on macOS and 108 on Linux.
LONGEST_BASE = 60

SUPERVISOR = Path(__file__).with_name("supervisor.py")


class RunFolder:
    """The folder of this run."""

    def __init__(self, path: Path) -> None:
        """Use the folder that another process of this run has created."""
        self.path = path
        self._lock: int | None = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        self._alive: int | None = None
        self._supervisor: subprocess.Popen[str] | None = None
        os.register_at_fork(after_in_child=self._leave)

    @classmethod
    def make(cls) -> "RunFolder":
        """Create the folder of this run, and remove the folders of ended runs."""
        for base in dict.fromkeys([TMPFS, Path(tempfile.gettempdir())]):
            leftovers.sweep(base, PREFIX)
        while True:
            path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_base()))
            with suppress(FileNotFoundError):
                folder = cls(path)
                if (path / "lock").exists():
                    break
            # Another run has removed the folder before its lock was held: create another.
        os.mkfifo(path / "alive", 0o600)
        # For reading and writing: opening a pipe only for writing waits for a reader.
        folder._alive = os.open(path / "alive", os.O_RDWR)
        return folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold a lock that only one worker of this run can hold."""
        with _opened(self.path / "starting", os.O_RDWR | os.O_CREAT) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write a file for the other workers. Only the current user can read it, since it may contain a password."""
        file = self.path / name
        file.touch(mode=0o600, exist_ok=False)
        file.write_text(json.dumps(content))

    def read_json(self, name: str) -> dict[str, Any] | None:
        """The content of a file that another worker has written; None if it does not exist."""
        try:
            content: dict[str, Any] = json.loads((self.path / name).read_text())
        except FileNotFoundError:
            return None
        return content

    def write_container(self, name: str, daemon: str) -> None:
        """Keep the name of the run's container, before it is created, and the daemon's address."""
        file = self.path / "container"
        file.touch(mode=0o600)
        file.write_text(f"{name}\n{daemon}\n", encoding="utf-8")

    def supervise(self, plan: dict[str, Any]) -> str | None:
        """Start a supervisor with `plan` (see `supervisor.py`); returns its error message, or None."""
        plan = {"folder": str(self.path), **plan}
        supervisor = subprocess.Popen(
            [sys.executable, "-I", "-S", "-X", "utf8", SUPERVISOR],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            # In a new session, so that Ctrl-C does not stop the server before pytest has ended its tests.
            start_new_session=True,
        )
        # Set before anything can fail or be interrupted: `close` waits for the supervisor.
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
        return answer or "the server's supervisor ended without output"

    def halt(self) -> None:
        """Shut the server down if it runs, so that its data can be copied; keep the folder for another server.

        Raises:
            NoServerError: the supervisor was killed; the server has been ended without a clean shutdown.
        """
        if self._supervisor is None:
            return
        if not leftovers.is_supervised(self.path):
            self._supervisor.wait()
            self._supervisor = None
            leftovers.end(self.path)
            raise NoServerError("the server's supervisor, which the run had started, was killed")
        with _opened(self.path / "alive", os.O_RDWR | os.O_NONBLOCK) as pipe:
            os.write(pipe, b"h")
            self._supervisor.wait()
            # It may have ended before it read this, because its server had; the next supervisor must not read it.
            with suppress(BlockingIOError):
                os.read(pipe, 1)
        self._supervisor = None

    def keep(self) -> int:
        """Keep the server after the run; returns the supervisor's PID. Killing it ends the server and the folder."""
        (self.path / "keep").touch(0o600)
        return int((self.path / "supervised").read_text())

    def close(self) -> None:
        """Stop using the folder. In the process that created it: end the run, and wait until the folder is removed."""
        if self._lock is None:
            return
        is_ended = self._alive is not None and not (self.path / "keep").exists()
        if self._alive is not None:
            os.close(self._alive)
            self._alive = None
        if is_ended:
            deadline = time.monotonic() + 20
            while leftovers.is_supervised(self.path) and time.monotonic() < deadline:
                time.sleep(0.005)
            if self._supervisor is not None:
                # Of a supervisor that was removed with its folder, only the process tells when it ends.
                with suppress(subprocess.TimeoutExpired):
                    self._supervisor.wait(max(1, deadline - time.monotonic()))
                # A process that Python has not forked may still have the pipe.
                self._supervisor.kill()
                self._supervisor.wait()
            if leftovers.end(self.path):
                shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)
        self._lock = None

    def _leave(self) -> None:
        # In a forked child, which does not end the run, and may live longer.
        for file in (self._alive, self._lock):
            if file is not None:
                os.close(file)
        self._alive = self._lock = None


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    file = os.open(path, flags, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def _base() -> Path:
    """Tmpfs if it has room: it saves more time than all settings of the server together."""
    with suppress(OSError):
        facts = os.statvfs(TMPFS)
        if os.access(TMPFS, os.W_OK | os.X_OK) and facts.f_bavail * facts.f_frsize >= ROOM:
            return TMPFS
    base = Path(tempfile.gettempdir())
    return base if len(os.fsencode(base)) <= LONGEST_BASE else Path("/tmp")
