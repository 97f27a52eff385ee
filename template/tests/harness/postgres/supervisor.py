"""A small process that starts the server of a run and stops it when the run ends, even if pytest is killed.

`python -I -S -X utf8 supervisor.py` (standard library, no site-packages, 15 ms) reads a plan in JSON from standard
input and prints one line: `ready`, or an error message. A plan has:

    folder    the run's folder; the end of its pipe `alive` is the end of the run; removed then
    prepare   a command that must succeed first, such as initdb or the start of a container; or null
    serve     a command that runs until the end, ready when `data/postmaster.pid` says so; or null
    cleanup   a command to run at the end; or null
    user      [uid, gid] for prepare and serve; or null for the current user
    env       the whole environment of these commands; and `wait`, the time-out of each in seconds
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

# Lines of postmaster.pid: the segment of shared memory, and the state of the server.
SHARED_MEMORY_LINE, STATUS_LINE = 6, 7


class EndOfRunError(Exception):
    """The process that created the folder has ended or closed its pipe."""


class HaltedError(Exception):
    """The run has asked for a clean shutdown of the server; the folder stays."""


class Supervisor:
    """Executes one plan."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.folder = Path(plan["folder"])
        # Non-blocking: if the run has ended, no process opens the other end.
        self.alive = os.open(self.folder / "alive", os.O_RDONLY | os.O_NONBLOCK)
        self.lock = os.open(self.folder / "lock", os.O_RDWR)
        fcntl.flock(self.lock, fcntl.LOCK_SH)
        # Locked until this process ends, also by `kill -9`: see `leftovers.py`. Never removed from a folder that stays:
        # the next supervisor, which waits for the lock, would have a file that nobody finds.
        self.supervised = (self.folder / "supervised").open("w")
        fcntl.flock(self.supervised, fcntl.LOCK_EX)
        print(os.getpid(), file=self.supervised, flush=True)
        self.log = (self.folder / "log").open("wb")
        self.processes: list[subprocess.Popen[bytes]] = []
        self.server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run `prepare` and `serve`; returns when the server accepts connections."""
        if self.plan["prepare"] is not None:
            prepare = self._spawn(self.plan["prepare"])
            self._wait(lambda: prepare.poll() is not None, self.plan["prepare"])
            if prepare.returncode != 0:
                raise self._error(f"{Path(self.plan['prepare'][0]).name} failed")
        if self.plan["serve"] is not None:
            self.server = serve = self._spawn(self.plan["serve"])
            self._wait(lambda: serve.poll() is not None or self._is_ready(), self.plan["serve"])
            if serve.returncode is not None:
                raise self._error(f"{Path(self.plan['serve'][0]).name} failed")

    def wait_for_end(self) -> None:
        """Wait for the end of the run or of the server; if the run keeps the server, for SIGTERM."""
        pause: Callable[[float], None] = self._pause
        while self.server is None or self.server.poll() is None:
            try:
                pause(0.25)
            except EndOfRunError:
                if not (self.folder / "keep").exists():
                    raise
                pause = time.sleep

    def shut_down(self) -> None:
        """Shut the server down cleanly, so that its files are complete."""
        if self.server is not None:
            # Only to the server's main process, which ends its children.
            self.server.send_signal(signal.SIGINT)
            self.server.wait(self.plan["wait"])
            self.server = None

    def stop(self, *, is_over: bool) -> None:
        """End all processes without a clean shutdown, and run `cleanup`; if the run is over, remove the folder."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if self.server is not None and (code := self.server.poll()) is not None:
            self._record_exit(code)
        for process in reversed(self.processes):
            _end(process)
        if self.plan["cleanup"] is not None:
            subprocess.run(self.plan["cleanup"], env=self.plan["env"], stdout=self.log, stderr=self.log, check=False)
            (self.folder / "container").unlink(missing_ok=True)
        if is_over:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _record_exit(self, code: int) -> None:
        """Write the exit code of a server that has ended by itself to `ended`, and remove its shared memory."""
        with suppress(OSError, IndexError):
            (self.folder / "ended").write_text(str(code))
            number = (self.folder / "data" / "postmaster.pid").read_text().splitlines()[SHARED_MEMORY_LINE].split()[1]
            if ipcrm := shutil.which("ipcrm"):
                subprocess.run([ipcrm, "-m", number], stdout=self.log, stderr=self.log, check=False)

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
        with (self.folder / "processes").open("a") as file:
            print(process.pid, file=file)
        return process

    def _wait(self, is_done: Callable[[], bool], command: list[str]) -> None:
        wait, began = self.plan["wait"], time.monotonic()
        while not is_done():
            if time.monotonic() > began + wait:
                raise self._error(f"{command[0]} timed out after {wait} s")
            self._pause(0.003)

    def _pause(self, seconds: float) -> None:
        select.select([self.alive], [], [], seconds)
        # At the end of the run, the pipe is at its end; until then a read would block.
        with suppress(BlockingIOError):
            raise HaltedError if os.read(self.alive, 1) else EndOfRunError

    def _is_ready(self) -> bool:
        with suppress(FileNotFoundError):
            lines = (self.folder / "data" / "postmaster.pid").read_text().splitlines()
            return len(lines) > STATUS_LINE and lines[STATUS_LINE].strip() == "ready"
        return False

    def _error(self, what: str) -> RuntimeError:
        text = (self.folder / "log").read_text(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("initdb: removing")]
        errors = [line for line in lines if any(mark in line for mark in ("FATAL", "PANIC", "error:"))] or lines
        return RuntimeError(f"{what}: {errors[-1] if errors else 'no output'}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is not None:
        return
    # SIGQUIT is PostgreSQL's immediate shutdown, without a checkpoint; the server gives its children five seconds.
    for number, seconds in ((signal.SIGQUIT, 8), (signal.SIGKILL, 8)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            return


def main() -> None:
    """Execute the plan on standard input."""

    def answer(text: str) -> None:
        with suppress(OSError):  # the run may have ended
            print(text, flush=True)

    os.umask(0o077)  # other users can neither read the log nor lock files
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())
    supervisor, is_over = Supervisor(json.load(sys.stdin)), False
    try:
        supervisor.start()
        answer("ready")
        supervisor.wait_for_end()
    except (EndOfRunError, SystemExit):
        is_over = True
    except HaltedError:
        supervisor.shut_down()
    except RuntimeError as error:
        answer(str(error))
    finally:
        supervisor.stop(is_over=is_over)


if __name__ == "__main__":
    main()
