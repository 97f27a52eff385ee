"""A rendered project with changes made in it, and what its tests then say."""

import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bytecode import copy_with_bytecode
from tests.environment import UV, Project, env_of_copy
from tests.mistakes.catalogue import Change
from tests.preloaded import run_pytest

# Left out of the copies: what belongs to the environment, and what a run leaves.
NOT_COPIED = shutil.ignore_patterns(".venv", ".pytest_cache", ".mypy_cache", ".ruff_cache")


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        code: the exit code.
        output: everything that it said.
        failed: the tests that failed, as pytest names them, and what each said.
        passed: the tests that passed.
    """

    code: int
    output: str
    failed: Mapping[str, str]
    passed: Sequence[str]


class Changed(Project):
    """A copy of a rendered project, in the environment of the render."""

    @classmethod
    def of(cls, project: Project, folder: Path, changes: Sequence[Change]) -> "Changed":
        """A copy with these changes; raises `StaleError` if one does not apply."""
        copy_with_bytecode(project, folder, NOT_COPIED)
        for change in changes:
            change.make(folder)
        return cls(folder, env_of_copy(project, folder))

    def pytest(self, *arguments: str, **env: str) -> Outcome:
        """Run the project's tests, in a process that has imported the libraries."""
        return self._outcome(lambda report: run_pytest(self, report, *arguments, **env))

    def pytest_from_start(self, *arguments: str, **env: str) -> Outcome:
        """Run them in a new Python process."""
        return self._outcome(lambda report: self.run(self.python, "-m", "pytest", report, *arguments, **env))

    def _outcome(self, run: Callable[[str], "subprocess.CompletedProcess[str]"]) -> Outcome:
        report = self.folder.parent / f"{self.folder.name}.xml"
        report.unlink(missing_ok=True)
        done = run(f"--junit-xml={report}")
        if not report.exists():
            return Outcome(done.returncode, done.stdout, {}, [])
        cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 - pytest has just written it
        failed = {_node(case): said for case in cases if (said := _said(case))}
        passed = [_node(case) for case in cases if not case.findall("*")]
        return Outcome(done.returncode, done.stdout, failed, passed)

    def tool(self, *command: str) -> Outcome:
        """Run a command of the project's environment."""
        done = self.run(UV, "run", "--no-sync", *command)
        return Outcome(done.returncode, done.stdout, {}, [])


def _node(case: ET.Element) -> str:
    path, _, name = case.get("classname", "").replace(".", "/"), "", case.get("name", "")
    return f"{path}.py::{name}"


def _said(case: ET.Element) -> str:
    return "\n".join(part.text or "" for part in case if part.tag in ("failure", "error"))
