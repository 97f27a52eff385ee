"""Diagnoses a server that the run has started, from its folder: it has ended, crashed, or the disk is full.

Call `folder_removed` first: the other functions need the folder.
"""

import re
import shutil
import time

from .run_folder import RunFolder
from .server import NoServerError

# Bytes that a server needs: the cluster, another segment of its log, two clones.
REQUIRED = 80_000_000
# A disk with fewer free bytes is full: a failed write may have left some.
FULL = 1_000_000
NO_SPACE = "No space left on device"

# Logged when a server process crashes; the server then ends all other processes too.
CRASHED = re.compile(r"\(PID \d+\) (was terminated by|exited with exit code [^01])")

# Seconds. The supervisor checks the server four times a second.
WAIT = 2


def check_free_space(folder: RunFolder) -> None:
    """Raise `NoServerError` if the disk has too little space for a cluster."""
    free = shutil.disk_usage(folder.path).free
    if free < REQUIRED:
        raise NoServerError(
            f"{folder.path.parent} has {free / 1e6:.0f} MB free, and a server needs at least {REQUIRED / 1e6:.0f} MB. "
            "Set TMPDIR to a folder with more space"
        )


def exit_reason(folder: RunFolder) -> str | None:
    """How the server has ended, with its last message; None if the supervisor reports no end within two seconds."""
    ended, deadline = folder.path / "ended", time.monotonic() + WAIT
    while not (ended.exists() and (text := ended.read_text())):
        if time.monotonic() > deadline:
            return None
        time.sleep(0.01)
    how = f"killed by signal {-int(text)}" if int(text) < 0 else f"exit code {text}"
    errors = [line for line in _log(folder).splitlines() if any(mark in line for mark in ("FATAL", "PANIC"))]
    return f"{how}; last message: {errors[-1]}" if errors else how


def folder_removed(folder: RunFolder) -> str | None:
    """A message if the run's folder, with the server's data and its socket, is no longer there; None otherwise."""
    if (folder.path / "lock").exists():
        return None
    return (
        f"the folder of this run was removed during the run: {folder.path}. It contained the server's data and its "
        f"socket. A command that cleans {folder.path.parent} must leave savepoint-* out"
    )


def disk_full(folder: RunFolder) -> str | None:
    """A message if the disk is full; None otherwise."""
    free = shutil.disk_usage(folder.path).free
    if free < FULL or NO_SPACE in _log(folder):
        return f"no space left in {folder.path.parent} for the test databases ({free / 1e6:.0f} MB free)"
    return None


def crash(folder: RunFolder) -> str | None:
    """The log's lines about the last server process that crashed, with its statement; None without a crash."""
    lines = _log(folder).splitlines()
    # "LOG:  client backend (PID 4711) was terminated by signal 9: Killed", then a DETAIL with its statement.
    crashed = [number for number, line in enumerate(lines) if CRASHED.search(line)]
    if not crashed:
        return None
    found = lines[crashed[-1] : crashed[-1] + 2]
    return "; ".join(line.partition(":  ")[2] for line in found if "LOG:  " in line or "DETAIL:  " in line)


def _log(folder: RunFolder) -> str:
    return (folder.path / "log").read_text(errors="replace")
