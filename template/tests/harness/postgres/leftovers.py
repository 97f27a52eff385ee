"""Ends what a killed supervisor has left in a run's folder: the server, the start of a server, and its container.

The run does it when it ends, and otherwise the next run that finds the folder. The supervisor keeps the PIDs of its
processes in the file `processes`, and the name of its container in `container`.
"""

import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

SCRIPT = Path(__file__).with_name("container.py")

# Seconds. The server gives its children five seconds at an immediate shutdown.
WAIT = 8


def is_supervised(folder: Path) -> bool:
    """Whether the supervisor of this folder runs: it locks its file as long as it lives."""
    try:
        file = os.open(folder / "supervised", os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def end(folder: Path) -> bool:
    """End the processes of this folder and remove its container; returns False if the container may be left."""
    for line in _lines(folder / "processes"):
        for number in (signal.SIGQUIT, signal.SIGKILL):
            deadline = time.monotonic() + WAIT
            with suppress(ProcessLookupError):
                if _is_of(int(line), folder):
                    os.killpg(int(line), number)
            while _is_of(int(line), folder) and time.monotonic() < deadline:
                time.sleep(0.005)
    # Its name, and the address of the daemon.
    container = _lines(folder / "container")
    if not container:
        return True
    command = [sys.executable, "-I", str(SCRIPT), "remove", *container]
    with suppress(subprocess.TimeoutExpired):
        return subprocess.run(command, capture_output=True, check=False, timeout=4 * WAIT).returncode == 0
    return False


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _is_of(pid: int, folder: Path) -> bool:
    """Whether this process still works in the folder: its PID may belong to another process by now."""
    try:
        # Fails for a process that has ended and whose parent has not waited for it.
        return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(folder.resolve())
    except OSError:
        if sys.platform == "linux":
            return False
    # macOS has no /proc.
    done = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return str(folder) in done.stdout


def sweep(base: Path, prefix: str) -> None:
    """Remove the folders of killed runs of the same user, which no process has locked.

    If the supervisor was killed too, its server may still run in the folder: it is ended.
    """
    for path in base.glob(f"{prefix}*"):
        with suppress(OSError):
            facts = path.lstat()
            if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():
                continue
            lock = os.open(path / "lock", os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if end(path):
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)
