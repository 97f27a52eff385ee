"""The nightly workflow of the rendered project: tests with the newest releases of its dependencies, and fuzzing."""

import re
import tomllib

import pytest
import yaml

from tests.environment import UV, Project
from tests.rendering import ROOT, Render
from tests.test_fuzzing import FEW, ONLY
from tests.upgrades.lived_in import Owned
from tests.workflows.conftest import WorkflowOf

pytestmark = pytest.mark.xdist_group("workflows")


@pytest.fixture
def outdated(owned: Owned, installed: Project) -> Owned:
    """A project with an old release in uv.lock, and few tests."""
    for path in (owned.folder / "tests").glob("test_[!a]*.py"):
        path.unlink()
    Project(owned.folder, installed.env).check(UV, "lock", "--upgrade-package", "idna==3.10")
    owned.commit("An old release")
    return owned


def test_the_newest_releases_are_tested(outdated: Owned, workflow_of: WorkflowOf) -> None:
    run = workflow_of(outdated, "nightly").run("newest")

    assert run.results == {"newest": "success"}
    for job in run.jobs["newest"]:
        assert re.search(r"^```\n(.*\n)*Updated idna v3\.10 -> v3\.\d+\n(.*\n)*```$", job.summary, re.M)
        assert "### Tests: " in job.summary
    newest = tomllib.loads((run.artifacts / "newest-3.14" / "uv.lock").read_text())
    assert "3.10" not in [package["version"] for package in newest["package"] if package["name"] == "idna"]


def test_a_failed_update_is_red(outdated: Owned, workflow_of: WorkflowOf) -> None:
    outdated.replace("pyproject.toml", '  "alembic', '  "idna>=3,<3",\n  "alembic')
    outdated.commit("What nothing satisfies")

    [job, _] = workflow_of(outdated, "nightly").run("newest").jobs["newest"]

    assert job.failed is not None
    assert "uv lock --upgrade" in job.failed
    assert "No solution found" in job.summary


def test_the_api_is_fuzzed(owned: Owned, workflow_of: WorkflowOf) -> None:
    owned.edit("schemathesis.toml", lambda text: FEW.format(5, "false") + text + ONLY.format("/users"))
    owned.commit("Few requests, of one path, the same each time")

    [job] = workflow_of(owned, "nightly").run("fuzz").jobs["fuzz"]

    assert job.result == "success", job.log
    assert "### Tests: 1 passed" in job.summary


def test_a_finding_of_fuzzing_is_red(owned: Owned, workflow_of: WorkflowOf) -> None:
    owned.edit("schemathesis.toml", lambda text: FEW.format(5, "false") + text + ONLY.format("/users/{id}"))
    owned.replace("src/my_service/users.py", "responses=refusals(401, 404)", "responses=refusals(401)")
    owned.commit("A status that nothing describes")

    [job] = workflow_of(owned, "nightly").run("fuzz").jobs["fuzz"]

    assert job.failed is not None
    assert job.failed.endswith("pytest tests/harness/checks/fuzz.py")
    assert "Undocumented status code" in job.log


@pytest.mark.parametrize(("oldest", "pythons"), [("3.11", ["3.11", "3.14"]), ("3.14", ["3.14"])])
def test_the_oldest_and_the_newest_python_are_tested(render: Render, oldest: str, pythons: list[str]) -> None:
    workflow = yaml.safe_load((render(python_version=oldest) / ".github/workflows/nightly.yml").read_text())
    questions = yaml.safe_load((ROOT / "copier.yml").read_text())

    assert workflow["jobs"]["newest"]["strategy"]["matrix"]["python"] == pythons
    assert questions["python_version"]["choices"][-1] == pythons[-1]
