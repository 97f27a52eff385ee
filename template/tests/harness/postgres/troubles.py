"""What is wrong with a server of the run's own, as its folder tells: it has ended, crashed, or has no room."""

import re
import shutil
import time

from .run_folder import RunFolder
from .server import NoServerError

# What it takes at least: the cluster, a segment of its log more, two clones.
LEAST = 80_000_000
# What is left of a disk that is full: the last page that somebody wanted was larger.
FULL = 1_000_000
NO_SPACE = "No space left on device"

# One of its processes has ended as no process should, and all others were ended with it.
CRASHED = re.compile(r"\(PID \d+\) (was terminated by|exited with exit code [^01])")

# The supervisor looks four times a second.
WAIT = 2


def raise_if_small(folder: RunFolder) -> None:
    """Raise `NoServerError` where not even an empty cluster has room."""
    free = shutil.disk_usage(folder.path).free
    if free < LEAST:
        raise NoServerError(
            f"{folder.path.parent} has {free / 1e6:.0f} MB free, and a server takes {LEAST / 1e6:.0f} at least; "
            "TMPDIR may name a folder with more"
        )


def last_words(folder: RunFolder) -> str | None:
    """How a server has ended by itself, and what it said last; None if its supervisor says nothing for two seconds."""
    ended, deadline = folder.path / "ended", time.monotonic() + WAIT
    while not (ended.exists() and (text := ended.read_text())):
        if time.monotonic() > deadline:
            return None
        time.sleep(0.01)
    how = f"it was killed by signal {-int(text)}" if int(text) < 0 else f"its exit code is {text}"
    said = [line for line in _log(folder).splitlines() if any(mark in line for mark in ("FATAL", "PANIC"))]
    return f"{how}; it said: {said[-1]}" if said else how


def full(folder: RunFolder) -> str | None:
    """That the disk is full, in words; None if it is not."""
    free = shutil.disk_usage(folder.path).free
    if free < FULL or NO_SPACE in _log(folder):
        return f"no space is left in {folder.path.parent} for the databases of the tests ({free / 1e6:.0f} MB are free)"
    return None


def crash(folder: RunFolder) -> str | None:
    """What the log says of the last of the server's processes that crashed, and what that did; None if none has."""
    lines = _log(folder).splitlines()
    # "LOG:  client backend (PID 4711) was terminated by signal 9: Killed", and a DETAIL with its statement.
    crashed = [number for number, line in enumerate(lines) if CRASHED.search(line)]
    if not crashed:
        return None
    said = lines[crashed[-1] : crashed[-1] + 2]
    return "; ".join(line.partition(":  ")[2] for line in said if "LOG:  " in line or "DETAIL:  " in line)


def _log(folder: RunFolder) -> str:
    return (folder.path / "log").read_text(errors="replace")
