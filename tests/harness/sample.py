"""A small rendered project, `sample`, whose own tests are replaced by those that a test of the harness writes."""

import subprocess
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from tests.bytecode import copy_with_bytecode
from tests.environment import Project, env_of_copy
from tests.preloaded import run_pytest

NO_HARNESS = "--ignore=tests/harness"
ANSWERS: dict[str, object] = {"project_name": "Sample", "package_name": "sample", "auth": False, "payments": False}


def _own_tests(names: list[str]) -> set[str]:
    return {name for name in names if name.startswith("test_")}


@dataclass(frozen=True)
class Outcome:
    """How a run of pytest ended, and everything that it said."""

    code: int
    output: str

    @classmethod
    def of(cls, done: "subprocess.CompletedProcess[str]") -> "Outcome":
        """Of a run that has ended."""
        return cls(done.returncode, done.stdout)

    @property
    def error(self) -> str:
        """What stands below the run's one error, without the lines that pytest adds."""
        _, heading, rest = self.output.partition("Test run aborted =")
        assert heading, self.output
        lines = rest.splitlines()[1:]
        # pytest's own lines below: what it counted, between "=", and the reason of the end, between "!".
        return "\n".join(takewhile(lambda line: not line.startswith(("==", "!!")), lines))


class Sample(Project):
    """The project in a folder of one test, run in an environment that all tests share."""

    @classmethod
    def of(cls, project: Project, folder: Path) -> "Sample":
        """A copy of a rendered and installed project, its sample tests left out."""
        tests = project.folder / "tests"
        copy_with_bytecode(project, folder, lambda path, names: _own_tests(names) if path == str(tests) else {".venv"})
        return cls(folder, env_of_copy(project, folder))

    def write(self, name: str, content: str) -> None:
        """Write a file of the project."""
        (self.folder / name).write_text(content)

    def command(self, *arguments: str) -> list[str]:
        """The command that runs the project's tests, those of `checks/` left out."""
        return [str(self.python), "-m", "pytest", NO_HARNESS, *arguments]

    def checks(self, *arguments: str) -> Outcome:
        """Run the harness's checks of the project."""
        return Outcome.of(run_pytest(self, "tests/harness/checks", *arguments))

    def pytest(self, *arguments: str, **env: str) -> Outcome:
        """Run the project's tests to their end, in a process that has imported the libraries."""
        return Outcome.of(run_pytest(self, NO_HARNESS, *arguments, **env))

    def pytest_from_start(self, *arguments: str, **env: str) -> Outcome:
        """Run them in a new Python process."""
        return Outcome.of(self.run(*self.command(*arguments), **env))
