"""The projects that are measured: rendered from the working tree, installed, and one of them given 30 tables."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import copier

from benchmarks import ROOT, tables
from tests.environment import UV, Project, env_of_copy, synced
from tests.rendering import snapshot

CONTENDERS = Path(__file__).with_name("contenders")

# Neither feature: hashing a password, the same for everybody, would make what isolation adds look smaller.
ANSWERS = {"project_name": "Sample", "package_name": "sample", "auth": False, "payments": False}

# In the environment of the benchmark alone.
COMPETITORS = ["pytest-postgresql==10.0.0"]

# Every run has the stopwatch, and no test is shuffled. A competitor's plugin is loaded where it competes, alone.
PLAIN = ["-p", "no:randomly", "-p", "stopwatch"]
WITHOUT_COMPETITORS = ["-p", "no:pytest_postgresql"]


class RunFailedError(Exception):
    """A run that did not end well, or whose tests did not all pass: its time would mean nothing."""


class Runner(Project):
    """A folder of tests, and the environment that they are run in."""

    def run_python(self, *arguments: str, **env: str) -> None:
        """Run Python to its end. Raises `RunFailedError`."""
        done = self.run(self.python, *arguments, **env)
        if done.returncode != 0:
            raise RunFailedError(f"python {' '.join(arguments)} in {self.folder}: {done.returncode}\n{done.stdout}")


class Projects:
    """Renders and installs, below one folder, what the measurements ask for.

    Args:
        folder: where; removed by whoever made it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._template = snapshot(folder / "template")
        self._sample: Project | None = None

    def default(self) -> Runner:
        """The default project as it is rendered, its own suite in it, and installed."""
        project = self._render("default", {})
        shutil.copy(CONTENDERS / "stopwatch.py", project.folder / "stopwatch.py")
        return Runner(project.folder, project.env)

    def with_tables(
        self,
        name: str,
        *,
        conftest: str | None = None,
        root_conftest: str | None = None,
        revisions: int = 2,
        table_count: int = tables.TABLES,
    ) -> Runner:
        """A copy of the project with many tables, and with the one test file that all contenders share.

        Args:
            name: of the copy's folder.
            conftest: the contender's file that takes the place of the rendered `tests/conftest.py` and of the harness.
            root_conftest: the contender's file that is added to the harness, as the project's `conftest.py`.
            revisions: how many revisions make the schema.
            table_count: how many tables there are.
        """
        sample = self._sample = self._sample or self._render("sample", ANSWERS, *COMPETITORS)
        folder = self.folder / "runs" / name
        shutil.copytree(sample.folder, folder, ignore=shutil.ignore_patterns(".venv", "__pycache__"))
        for test in (folder / "tests").glob("test_*.py"):
            test.unlink()
        models = folder / "src" / "sample" / "models.py"
        models.write_text(
            models.read_text().replace("import BigInteger,", "import BigInteger, ForeignKey,")
            + tables.models(table_count, revisions)
        )
        for file, text in tables.revisions(revisions, table_count).items():
            (folder / "migrations" / "versions" / file).write_text(text)
        if conftest is not None:
            shutil.rmtree(folder / "tests" / "harness")
            # What it says is for the harness.
            (folder / "tests" / "__init__.py").write_text("")
            shutil.copy(CONTENDERS / conftest, folder / "tests" / "conftest.py")
            for shared in ("service.py", "address.py"):
                shutil.copy(CONTENDERS / shared, folder / "tests" / shared)
        if root_conftest is not None:
            shutil.copy(CONTENDERS / root_conftest, folder / "conftest.py")
        shutil.copy(CONTENDERS / "test_sign_up.py", folder / "tests" / "test_sign_up.py")
        shutil.copy(CONTENDERS / "stopwatch.py", folder / "stopwatch.py")
        return Runner(folder, env_of_copy(sample, folder))

    def _render(self, name: str, answers: Mapping[str, object], *more: str) -> Project:
        folder = self.folder / name
        copier.run_copy(str(self._template), folder, data=dict(answers), defaults=True, quiet=True, vcs_ref="HEAD")
        # The clusters that the harness keeps: not among those of whoever runs this. Of uv's cache, theirs.
        cache = str(self.folder / "cache")
        python = Path(sys.executable).resolve()
        project = synced(
            folder, self.folder / f"{name}-environment", python, XDG_CACHE_HOME=cache, UV_CACHE_DIR=_uv_cache()
        )
        if more:
            project.check(UV, "pip", "install", "--python", project.python, *more)
        return project


def _uv_cache() -> str:
    command = [UV, "cache", "dir"]
    return subprocess.run(command, cwd=ROOT, env=os.environ, check=True, capture_output=True, text=True).stdout.strip()
