"""A rendered project with changes made in it, and what its tests then say."""

import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.environment import TIMEOUT, UV, Project
from tests.mistakes.catalogue import Change

# Left out of the copies: what belongs to the environment, and what a run leaves.
NOT_COPIED = shutil.ignore_patterns(".venv", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache")


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        code: the exit code.
        output: everything that it said.
        failed: the tests that failed, as pytest names them, and what each said.
        passed: how many passed.
    """

    code: int
    output: str
    failed: Mapping[str, str]
    passed: int


@dataclass(frozen=True)
class Changed:
    """A copy of a rendered project, in the environment of the render."""

    folder: Path
    python: Path
    env: Mapping[str, str]

    @classmethod
    def of(cls, project: Project, folder: Path, changes: Sequence[Change]) -> "Changed":
        """A copy with these changes; raises `StaleError` if one does not apply."""
        shutil.copytree(project.folder, folder, ignore=NOT_COPIED)
        for change in changes:
            change.make(folder)
        # The environment holds the project as an editable install of the folder that it was rendered into.
        env = {**project.env, "PYTHONPATH": str(folder / "src")}
        return cls(folder, Path(project.env["UV_PROJECT_ENVIRONMENT"]) / "bin" / "python", env)

    def pytest(self, *arguments: str, **env: str) -> Outcome:
        """Run the project's tests."""
        report = self.folder.parent / f"{self.folder.name}.xml"
        report.unlink(missing_ok=True)
        done = self._run([str(self.python), "-m", "pytest", f"--junit-xml={report}", *arguments], env)
        if not report.exists():
            return Outcome(done.returncode, done.stdout, {}, 0)
        cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 - pytest has just written it
        failed = {_node(case): said for case in cases if (said := _said(case))}
        passed = sum(len(case.findall("*")) == 0 for case in cases)
        return Outcome(done.returncode, done.stdout, failed, passed)

    def tool(self, *command: str) -> Outcome:
        """Run a command of the project's environment."""
        done = self._run([UV, "run", "--no-sync", *command], {})
        return Outcome(done.returncode, done.stdout, {}, 0)

    def _run(self, command: list[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
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


def _node(case: ET.Element) -> str:
    path, _, name = case.get("classname", "").replace(".", "/"), "", case.get("name", "")
    return f"{path}.py::{name}"


def _said(case: ET.Element) -> str:
    return "\n".join(part.text or "" for part in case if part.tag in ("failure", "error"))
