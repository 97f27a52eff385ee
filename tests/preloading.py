"""A process of a project's Python that has imported its libraries, and forks for each run of the project's tests.

Imports of libraries are most of the CPU time of a short run of pytest, and are the same each time. What belongs to the
project, its harness included, is imported by each run. `tests/preloaded.py` starts this script: it reads a line of JSON
for each run, and writes a line with the exit code.
"""

import contextlib
import gc
import importlib
import io
import json
import os
import runpy
import sys
import tempfile
import warnings

import pytest

# A project without payments, for example, does not have all of them.
LIBRARIES = [
    "alembic.autogenerate",
    "alembic.command",
    "anyio._backends._asyncio",
    "asyncpg",
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


def run(folder: str, arguments: list[str], env: dict[str, str], output: str) -> None:
    """Run `python -m pytest` in this folder and environment, and end the process."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.path[:0] = [folder, *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = ["pytest", *arguments]
    for number, path, flags in [(0, os.devnull, os.O_RDONLY), (1, output, os.O_WRONLY | os.O_CREAT)]:
        opened = os.open(path, flags)
        os.dup2(opened, number)
        os.close(opened)
    os.dup2(1, 2)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - open until the process ends
    runpy.run_module("pytest", run_name="__main__", alter_sys=True)


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
