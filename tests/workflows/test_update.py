"""The weekly workflow of the rendered project: a pull request that updates it from the template."""

import tempfile
from pathlib import Path

import pytest

from tests.environment import Project
from tests.rendering import git
from tests.upgrades.history import History
from tests.upgrades.lived_in import Owned
from tests.workflows.conftest import WorkflowOf
from tests.workflows.runner import Job, Workflow

pytestmark = pytest.mark.xdist_group("workflows")

FILE = "tests/harness/core/new_idea.py"

GH = """#!/bin/sh
[ "$2" = list ] && echo "${{OPEN:-0}}" && exit
[ "$GH_TOKEN" = the-token ] || exit 1
echo "$1 $2 $4 $6" >> "{told}"
while [ $# -gt 1 ]; do [ "$1" = --body-file ] && cp "$2" "{told}.body"; shift; done
exit 0
"""


class Updated:
    """A project whose template has a later version, and what its workflow `update` tells GitHub."""

    def __init__(self, history: History, installed: Project, workflow: Workflow, folder: Path) -> None:
        self.history, self.installed, self.workflow, self.folder = history, installed, workflow, folder
        self.project = Owned.rendered(history.folder, history.next, folder / "project", coverage_threshold="100")
        (folder / "bin").mkdir()
        (folder / "bin/gh").write_text(GH.format(told=folder / "told"))
        (folder / "bin/gh").chmod(0o755)

    def later(self, changes: dict[str, str | None]) -> None:
        evolved = self.history.evolve(self.folder / "later", changes)
        self.project.replace(".copier-answers.yml", f"_src_path: {self.history.folder}", f"_src_path: {evolved.folder}")
        # Of the same project, with the same dependencies.
        (self.project.folder / "uv.lock").write_bytes((self.installed.folder / "uv.lock").read_bytes())
        for sample in self.project.folder.glob("tests/test_*.py"):
            if sample.name != "test_app.py":
                sample.unlink()
        self.project.commit("The template has moved")

    def run(self, **env: str) -> Job:
        path = f"{self.folder / 'bin'}:{self.installed.env['PATH']}"
        project = Project(self.project.folder, {**self.installed.env, **env, "PATH": path})
        scratch = Path(tempfile.mkdtemp(dir=self.folder))
        workflow = Workflow(project, "update", self.workflow.server, scratch, "schedule")
        [job] = workflow.run().jobs["update"]
        return job

    @property
    def told(self) -> list[str]:
        path = self.folder / "told"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def body(self) -> str:
        return (self.folder / "told.body").read_text()

    def pushed(self, *what: str) -> str:
        return git(self.project.folder, *what)


@pytest.fixture
def updated(history: History, installed: Project, owned: Owned, workflow_of: WorkflowOf, tmp_path: Path) -> Updated:
    folder = tmp_path / "update"
    folder.mkdir()
    return Updated(history, installed, workflow_of(owned), folder)


def test_a_later_version_is_a_pull_request_that_was_tested(updated: Updated) -> None:
    updated.later({FILE: '"""A new idea."""\n'})

    job = updated.run()

    assert job.result == "success", job.log
    assert f"Savepoint {updated.history.next} → v99.0.0" in updated.body
    assert "- Tests: passed" in updated.body
    assert "- Conflicts: none" in updated.body
    assert "\n## " in updated.body
    assert updated.told[-1] == "pr create savepoint-update Update from Savepoint: v99.0.0"
    assert updated.pushed("show", f"savepoint-update:{FILE}") == '"""A new idea."""\n'
    assert updated.body.splitlines()[0] in job.summary


def test_an_open_pull_request_is_renewed(updated: Updated) -> None:
    updated.later({FILE: '"""A new idea."""\n'})

    job = updated.run(OPEN="1")

    assert job.result == "success", job.log
    assert updated.told[-1].startswith("pr edit")


def test_commits_of_the_owner_in_its_branch_are_kept(updated: Updated) -> None:
    updated.later({FILE: '"""A new idea."""\n'})
    assert updated.run().result == "success"
    project = updated.project
    project.git("switch", "--quiet", "savepoint-update")
    project.edit("alembic.ini", lambda text: "# of the owner\n" + text)
    project.commit("Resolve a conflict")
    mine = project.git("rev-parse", "HEAD")
    project.git("switch", "--quiet", "-")
    told = updated.told

    job = updated.run(OPEN="1")

    assert job.result == "success", job.log
    assert "::warning::Branch savepoint-update has commits of yours and was not changed." in job.log
    assert updated.pushed("rev-parse", "savepoint-update") == mine
    assert updated.told == told


def test_its_own_commit_is_replaced(updated: Updated) -> None:
    updated.later({FILE: '"""A new idea."""\n'})
    assert updated.run().result == "success"
    first = updated.pushed("rev-parse", "savepoint-update")
    updated.project.edit("alembic.ini", lambda text: "# of the owner\n" + text)
    updated.project.commit("Meanwhile")

    job = updated.run(OPEN="1")

    assert job.result == "success", job.log
    assert updated.pushed("rev-parse", "savepoint-update") != first
    assert updated.pushed("show", "savepoint-update:alembic.ini").startswith("# of the owner\n")


def test_a_failed_test_is_in_the_pull_request(updated: Updated) -> None:
    updated.later({"tests/harness/checks/test_new_idea.py": "def test_it() -> None:\n    assert 1 == 2\n"})

    job = updated.run()

    assert job.result == "success", job.log
    assert "- Tests: failed" in updated.body


def test_files_that_conflict_are_in_the_pull_request(updated: Updated) -> None:
    updated.project.edit("alembic.ini", lambda text: "# of the owner\n" + text)
    updated.later({"alembic.ini": "# of the template\n" + updated.project.read("alembic.ini").partition("\n")[2]})

    job = updated.run()

    assert job.result == "success", job.log
    assert "- Tests: not run, since files conflict" in updated.body
    assert "  - `alembic.ini`" in updated.body
    assert "<<<<<<< before updating" in updated.pushed("show", "savepoint-update:alembic.ini")


def test_without_a_later_version_there_is_none(updated: Updated) -> None:
    (updated.project.folder / "uv.lock").write_bytes((updated.installed.folder / "uv.lock").read_bytes())
    updated.project.commit("The first commit, with uv.lock")

    job = updated.run()

    assert job.result == "success", job.log
    assert updated.told == []
