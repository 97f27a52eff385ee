"""Runs of modules that are forked from a process which has imported a project's libraries; see `preloading.py`."""

import atexit
import json
import select
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.environment import TIMEOUT, Project

SCRIPT = Path(__file__).with_name("preloading.py")


class Forking:
    """A Python process that has imported its libraries."""

    def __init__(self, python: Path, env: Mapping[str, str]) -> None:
        self.installed = installed(python)
        # Each run adds the folders of its project.
        own = {name: value for name, value in env.items() if name != "PYTHONPATH"}
        self.process = subprocess.Popen(
            [python, SCRIPT], env=own, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        atexit.register(self.close)

    def run(
        self, folder: Path, module: str, arguments: list[str], env: Mapping[str, str]
    ) -> "subprocess.CompletedProcess[str]":
        """Run `python -m module` in a folder."""
        output = folder.with_name(f"{folder.name}.output")
        output.unlink(missing_ok=True)
        what = {"folder": str(folder), "arguments": arguments, "env": dict(env), "output": str(output)}
        command = [module, *arguments]
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps({"module": module, **what}) + "\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], TIMEOUT)[0]:
            self.process.kill()
            raise subprocess.TimeoutExpired(command, TIMEOUT, output.read_text())
        code = self.process.stdout.readline()
        assert code, "the process that forks has ended"
        return subprocess.CompletedProcess(command, int(code), output.read_text(errors="replace"))

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


_forking: dict[Path, Forking] = {}


def installed(python: Path) -> int:
    """Changes with the libraries of an environment: uv adds and removes folders there."""
    [packages] = python.parents[1].glob("lib/python3.*/site-packages")
    return packages.stat().st_mtime_ns


def run_module(project: Project, module: str, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """Run `python -m module` in a project.

    If other libraries, or another project, have been installed since the last run, they are imported by a new process.
    Python reads other variables than PYTHONPATH when it starts, so a run with one of them has a process of its own.
    """
    if any(name.startswith("PYTHON") and name != "PYTHONPATH" for name in env):
        return project.run(project.python, "-m", module, *arguments, **env)
    forking = _forking.get(project.python)
    if forking is None or forking.installed != installed(project.python):
        if forking is not None:
            forking.close()
        forking = _forking[project.python] = Forking(project.python, project.env)
    return forking.run(project.folder, module, list(arguments), {**project.env, **env})


def run_pytest(project: Project, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """Run a project's tests."""
    return run_module(project, "pytest", *arguments, **env)
