"""A process of a project's Python that has imported its libraries, and forks for each run of a module such as pytest.

Imports of libraries are most of the CPU time of a short run, and are the same each time. What belongs to the project,
its harness included, is imported by each run. `tests/preloaded.py` starts this script: it reads a line of JSON for each
run, and writes a line with the exit code.

The workers of pytest-xdist are forked too, when the run begins, and wait until it wants them. Such a worker is a child
of the run's process, as one that was started is, and gets the variables, the folder and the stderr that it would get.
"""

import contextlib
import gc
import importlib
import io
import json
import os
import re
import runpy
import signal
import socket
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, NoReturn

import pytest

# A project without payments, for example, does not have all of them.
LIBRARIES = [
    "alembic.autogenerate",
    "alembic.command",
    "anyio._backends._asyncio",
    "asyncpg",
    "execnet.gateway_io",
    "factory",
    "fastapi.security",
    "httpx",
    "jwt",
    "psycopg",
    "pwdlib.hashers.argon2",
    "pydantic_settings",
    "respx",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.ext.asyncio",
    "starlette.testclient",
    "stripe",
]


def preload() -> None:
    """Import pytest's plugins as pytest does, with their assertions rewritten, and then the libraries."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        # pytest-randomly would have the same seed in each run, and pytest-xdist keeps the `sys.path` of its import.
        blocked = [f"-pno:{plugin}" for plugin in ("cacheprovider", "randomly", "xdist", "xdist.looponfail")]
        pytest.main(["--collect-only", "--quiet", "-c", os.devnull, f"--rootdir={folder}", *blocked, folder])
    with warnings.catch_warnings(action="ignore"):
        for library in LIBRARIES:
            with contextlib.suppress(ImportError):
                importlib.import_module(library)
    # What a run leaves to the collector must not be searched for among the libraries.
    gc.collect()
    gc.freeze()


def run(module: str, folder: str, arguments: list[str], env: dict[str, str], output: str) -> None:
    """Run `python -m module` in this folder and environment, and end the process."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.path[:0] = [folder, *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = [module, *arguments]
    for number, path, flags in [(0, os.devnull, os.O_RDONLY), (1, output, os.O_WRONLY | os.O_CREAT)]:
        opened = os.open(path, flags)
        os.dup2(opened, number)
        os.close(opened)
    os.dup2(1, 2)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - open until the process ends
    if module == "pytest":
        prepare_workers(number_of_workers(arguments, env))
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def number_of_workers(arguments: Sequence[str], env: Mapping[str, str]) -> int:
    """How many workers `-n` asks for."""
    given = " ".join([env.get("PYTEST_ADDOPTS", ""), *arguments])
    return max(map(int, re.findall(r"(?<!\S)(?:-n|--numprocesses)[ =]?(\d+)(?!\S)", given)), default=0)


def prepare_workers(count: int) -> None:
    """Fork this many processes, and let execnet take them for the workers that it would start."""
    if (execnet := sys.modules.get("execnet.gateway_io")) is None:
        return
    waiting: list[Worker] = []
    for _ in range(count):
        ours, theirs = socket.socketpair()
        if (pid := os.fork()) == 0:
            for connection in [ours, *(worker.connection for worker in waiting)]:
                connection.close()
            become_worker(theirs)
        theirs.close()
        waiting.append(Worker(pid, ours))
    master = execnet.Popen2IOMaster
    start, command = master.__init__, [sys.executable, "-u", "-c", execnet.popen_bootstrapline]

    def take(self: Any, arguments: list[str], execmodel: Any) -> None:
        # More are wanted than `-n` says when one has crashed.
        if not waiting or arguments != command:
            start(self, arguments, execmodel)
        else:
            self.popen = worker = waiting.pop(0)
            worker.begin()
            super(master, self).__init__(worker.stdin, worker.stdout, execmodel=execmodel)

    master.__init__ = take


class Worker:
    """A process that waits to become a worker; and then what execnet uses of a `subprocess.Popen`."""

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid, self.connection = pid, connection
        self.returncode: int | None = None

    def begin(self) -> None:
        """Let it become a worker."""
        stdin, self.stdin = _pipe()
        self.stdout, stdout = _pipe()
        with self.connection, stdin, stdout:
            socket.send_fds(self.connection, [b"x"], [stdin.fileno(), stdout.fileno(), 2])
            given = {"folder": str(Path.cwd()), "env": dict(os.environ)}
            self.connection.sendall(json.dumps(given).encode() + b"\n")

    def wait(self) -> int:
        """Its exit code, when it has ended."""
        if self.returncode is None:
            _, status = os.waitpid(self.pid, 0)
            self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)


def _pipe() -> tuple[BinaryIO, BinaryIO]:
    read, written = os.pipe()
    return os.fdopen(read, "rb"), os.fdopen(written, "wb")


def become_worker(connection: socket.socket) -> NoReturn:
    """Wait until a worker is wanted, and end as it ends; or end at once, if none is."""
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    if not files:
        os._exit(0)
    with connection, connection.makefile() as lines:
        given = json.loads(lines.readline())
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(given["folder"])
    os.environ.clear()
    os.environ.update(given["env"])
    sys.argv, sys.path[0] = ["-c"], ""
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - open until the process ends
    main = sys.modules["__main__"] = ModuleType("__main__")
    exec("import sys;exec(eval(sys.stdin.readline()))", vars(main))  # noqa: S102 - execnet's own command
    sys.exit()


def main() -> None:
    del sys.path[0]  # the folder of this script
    preload()
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            run(**json.loads(line))
        else:
            _, status = os.waitpid(child, 0)
            print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
