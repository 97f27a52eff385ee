"""The environment of a rendered project: what it declares, and nothing of the process that tests it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# `uv run` says which uv it is; it need not be on PATH.
UV = os.environ.get("UV") or shutil.which("uv") or "uv"

# A rendered suite of a minute is a suite that hangs; the rest is a cold download.
TIMEOUT = 600

_DROPPED = {
    # Of this repository's own environment: `uv run` in a render would use it, or warn of it.
    "VIRTUAL_ENV",
    "UV_PROJECT_ENVIRONMENT",
    # Without bytecode each run compiles what it imports.
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPATH",
    # What would give a rendered project another server, or other settings, than a newcomer has.
    "TEST_DATABASE_URL",
    "DATABASE_URL",
    "POSTGRES_BIN",
    # pytest shortens its summary on a laptop and not in CI: what a test looks for must not depend on where it runs.
    "CI",
    "BUILD_NUMBER",
    # A project that is tested here must not write on the page of this repository's own run.
    "GITHUB_STEP_SUMMARY",
    # Set in a git hook, and then of another repository.
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
}


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a child that is no part of this test run; certificates, caches and proxies stay."""
    env = {name: value for name, value in environ.items() if name not in _DROPPED and not name.startswith("PYTEST_")}
    # A tool that a project uses and does not declare must be missing, not found here.
    own = Path(sys.executable).parent
    env["PATH"] = os.pathsep.join(folder for folder in env["PATH"].split(os.pathsep) if Path(folder) != own)
    env["UV_PYTHON_DOWNLOADS"] = "never"
    # The lines of stdout and stderr are read in the order in which they were written.
    env["PYTHONUNBUFFERED"] = "1"
    return env


@dataclass(frozen=True)
class Project:
    """A rendered project and the environment that it is run in."""

    folder: Path
    env: Mapping[str, str]

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return Path(self.env["UV_PROJECT_ENVIRONMENT"]) / "bin" / "python"

    def run(self, *command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        """A command in the project, its output as text; a failure is not an error yet."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
        )

    def check(self, *command: str | Path) -> str:
        """A command that has to succeed: its output."""
        done = self.run(*command)
        assert done.returncode == 0, f"{' '.join(map(str, command))} in {self.folder}: {done.returncode}\n{done.stdout}"
        return done.stdout


def env_of_copy(project: Project, folder: Path) -> dict[str, str]:
    """The project's environment for a copy of it in another folder, to whose files the installed package leads."""
    # What is installed is an editable install of the folder that was copied.
    own = {"PYTHONPATH": str(folder / "src")}
    # pytest deletes old temporary folders there, and those of a run beside it are not its own.
    return {**project.env, **own, "PYTEST_DEBUG_TEMPROOT": str(folder.parent)}


def synced(
    folder: Path, environment: Path, python: Path, postgres_bin: Path | None = None, **variables: str
) -> Project:
    """A render with what it declares installed, and nothing else, in an environment that several may use in turn."""
    env = clean(os.environ) | {
        "UV_PROJECT_ENVIRONMENT": str(environment),
        "UV_PYTHON": str(python),
        # What mypy has learned of the dependencies serves the next project in this environment.
        "MYPY_CACHE_DIR": f"{environment}-mypy",
        "UV_NO_PROGRESS": "1",
        **variables,
    }
    if postgres_bin:
        env["POSTGRES_BIN"] = str(postgres_bin)
    keep_bytecode()
    project = Project(folder, env)
    project.check(UV, "sync")
    _bytecode("restore", project)
    _SYNCED.append(project)
    return project


_SYNCED: list[Project] = []


def keep_bytecode() -> None:
    """Keep what has been compiled in the projects that this process has synced, for the next."""
    while _SYNCED:
        project = _SYNCED.pop()
        if project.folder.exists() and project.python.exists():
            _bytecode("keep", project)


def _bytecode(what: str, project: Project) -> None:
    [packages] = Path(project.env["UV_PROJECT_ENVIRONMENT"]).glob("lib/python3.*/site-packages")
    project.check(project.python, "-I", Path(__file__).with_name("kept_bytecode.py"), what, packages, project.folder)
