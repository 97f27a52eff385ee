"""A small process that keeps a server for a run, and ends it with the run: nothing outlives pytest.

`python -I -S supervisor.py` (standard library, no site-packages, 15 ms) reads one plan in JSON from its input and
answers one line: `ready`, or what went wrong. A plan has:

    folder    the run's folder; its pipe `alive` says when the run is over; removed at the end
    prepare   a command that has to succeed first: initdb, or the start of a container; or null
    serve     a command that runs until the end, or null; ready when `data/postmaster.pid` says so
    cleanup   a command for the end, or null
    user      [uid, gid] for prepare and serve, or null to stay who we are
    env       their environment, whole; and `wait`, the seconds that each of them may take to succeed
"""

import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

# Lines of postmaster.pid: a segment of shared memory, and what state the server is in.
SHARED_MEMORY_LINE, STATUS_LINE = 6, 7


class EndOfRunError(Exception):
    """The process that made the folder is gone, or has closed its pipe."""


class HaltedError(Exception):
    """The run wants the server shut down, as in production, and the folder left to it."""


class Supervisor:
    """Carries out one plan."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.folder = Path(plan["folder"])
        # Not blocking: if the run is over already, nobody will open the other end.
        self.alive = os.open(self.folder / "alive", os.O_RDONLY | os.O_NONBLOCK)
        self.lock = os.open(self.folder / "lock", os.O_RDWR)
        fcntl.flock(self.lock, fcntl.LOCK_SH)
        (self.folder / "supervised").write_text(str(os.getpid()))
        self.log = (self.folder / "log").open("wb")
        self.processes: list[subprocess.Popen[bytes]] = []
        self.server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Prepare and serve; returns when the server accepts connections."""
        if self.plan["prepare"] is not None:
            prepare = self._spawn(self.plan["prepare"])
            self._wait(lambda: prepare.poll() is not None, self.plan["prepare"])
            if prepare.returncode != 0:
                raise RuntimeError(self._last_words(self.plan["prepare"]))
        if self.plan["serve"] is not None:
            self.server = serve = self._spawn(self.plan["serve"])
            self._wait(lambda: serve.poll() is not None or self._is_ready(), self.plan["serve"])
            if serve.returncode is not None:
                raise RuntimeError(self._last_words(self.plan["serve"]))

    def stay(self) -> None:
        """Wait for the end of the run or of the server; if the run wants it to be kept, for SIGTERM."""
        try:
            self._watch(self._pause)
        except EndOfRunError:
            if not (self.folder / "keep").exists():
                raise
            self._watch(time.sleep)

    def _watch(self, pause: Callable[[float], None]) -> None:
        while self.server is None or self.server.poll() is None:
            pause(0.25)

    def shut_down(self) -> None:
        """Let the server write everything to its files, and end."""
        if self.server is not None:
            # To itself, and not to its children, who would end on their own.
            self.server.send_signal(signal.SIGINT)
            self.server.wait(self.plan["wait"])
            self.server = None

    def stop(self, *, is_over: bool) -> None:
        """End what was started, the hard way at once: its data is worth nothing. The folder goes with the run."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if self.server is not None and (code := self.server.poll()) is not None:
            self._bury(code)
        for process in reversed(self.processes):
            _end(process)
        if self.plan["cleanup"] is not None:
            subprocess.run(self.plan["cleanup"], env=self.plan["env"], stdout=self.log, stderr=self.log, check=False)
        if is_over:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            (self.folder / "supervised").unlink()

    def _bury(self, code: int) -> None:
        """Of a server that has ended by itself: say so, and remove its segment of shared memory."""
        with suppress(OSError, IndexError):
            number = (self.folder / "data" / "postmaster.pid").read_text().splitlines()[SHARED_MEMORY_LINE].split()[1]
            if ipcrm := shutil.which("ipcrm"):
                subprocess.run([ipcrm, "-m", number], stdout=self.log, stderr=self.log, check=False)
        (self.folder / "ended").write_text(str(code))

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        user: dict[str, Any] = {}
        if self.plan["user"] is not None:
            uid, gid = self.plan["user"]
            user = {"user": uid, "group": gid, "extra_groups": [], "umask": 0o077}
        try:
            process = subprocess.Popen(
                command,
                env=self.plan["env"],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=self.log,
                stderr=self.log,
                start_new_session=True,
                **user,
            )
        except OSError as error:
            raise RuntimeError(f"{command[0]}: {error.strerror}") from None
        self.processes.append(process)
        return process

    def _wait(self, is_done: Callable[[], bool], command: list[str]) -> None:
        wait, began = self.plan["wait"], time.monotonic()
        while not is_done():
            if time.monotonic() > began + wait:
                raise RuntimeError(f"{command[0]} was not done after {wait} s; {self._last_words([])}")
            self._pause(0.003)

    def _pause(self, seconds: float) -> None:
        select.select([self.alive], [], [], seconds)
        # At the end of the run, the end of the file; until then there is nothing to read.
        with suppress(BlockingIOError):
            raise HaltedError if os.read(self.alive, 1) else EndOfRunError

    def _is_ready(self) -> bool:
        try:
            lines = (self.folder / "data" / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > STATUS_LINE and lines[STATUS_LINE].strip() == "ready"

    def _last_words(self, command: list[str]) -> str:
        self.log.flush()
        lines = (self.folder / "log").read_text(errors="replace").splitlines()
        words = [line.strip() for line in lines if line.strip() and not line.startswith("initdb: removing")]
        telling = [word for word in words if any(mark in word for mark in ("FATAL", "PANIC", "error:"))] or words
        return f"{Path(command[0]).name if command else 'it'} said: {telling[-1] if telling else 'nothing'}"


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is not None:
        return
    # SIGQUIT is PostgreSQL's "immediate" shutdown: no checkpoint. Its children have five seconds from the server.
    for what, seconds in ((signal.SIGQUIT, 8), (signal.SIGKILL, 8)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, what)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            return


def main() -> None:
    """Carry out the plan on standard input."""

    def answer(words: str) -> None:
        with suppress(OSError):  # whoever asked may be gone
            print(words, flush=True)

    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())
    supervisor, is_over = Supervisor(json.load(sys.stdin)), True
    try:
        supervisor.start()
        answer("ready")
        supervisor.stay()
        is_over = False
    except (EndOfRunError, SystemExit):
        pass
    except HaltedError:
        is_over = False
        supervisor.shut_down()
    except RuntimeError as failed:
        is_over = False
        answer(str(failed))
    finally:
        supervisor.stop(is_over=is_over)


if __name__ == "__main__":
    main()
