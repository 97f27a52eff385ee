"""The workflows of an unchanged rendered project: every step runs, in order, and every job passes."""

import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

from tests.environment import UV, Project
from tests.upgrades.lived_in import Owned
from tests.workflows.conftest import WorkflowOf
from tests.workflows.runner import Run

pytestmark = pytest.mark.xdist_group("workflows")

SHARDS = 3


@pytest.fixture(scope="module")
def sharded(installed: Project, tmp_path_factory: pytest.TempPathFactory) -> Owned:
    """The project with more than one shard, by the edit that the workflow's comment describes."""
    owned = Owned(Path(shutil.copytree(installed.folder, tmp_path_factory.mktemp("sharded") / "project")))
    owned.replace(".github/workflows/tests.yml", "shard: [1]", f"shard: {list(range(1, SHARDS + 1))}")
    owned.commit("More shards")
    return owned


@pytest.fixture(scope="module")
def run(sharded: Owned, workflow_of: WorkflowOf) -> Run:
    return workflow_of(sharded).run()


def test_every_job_passes(run: Run) -> None:
    assert run.results == dict.fromkeys(["tests", "lint", "migrations", "coverage", "required"], "success")
    assert [job.name for job in run.jobs["tests"]] == ["tests (1)", "tests (2)", "tests (3)"]
    assert "Running upgrade  -> 0001" in run.jobs["migrations"][0].log


def test_each_test_runs_in_one_shard(run: Run, installed: Project) -> None:
    reports = [run.artifacts / f"tests-{shard}" / f"junit-{shard}.xml" for shard in range(1, SHARDS + 1)]
    shards = [[(case.get("classname"), case.get("name")) for case in cases(path)] for path in reports]

    collected = installed.check(UV, "run", "--frozen", "pytest", "--collect-only", "-q")
    assert len({case for shard in shards for case in shard}) == sum(map(len, shards))
    assert f"{sum(map(len, shards))} tests collected" in collected
    assert max(map(len, shards)) - min(map(len, shards)) < 5


def cases(report: Path) -> list[ET.Element]:
    return list(ET.parse(report).iter("testcase"))  # noqa: S314 - pytest has just written it


def test_the_summary_of_the_run(run: Run) -> None:
    for job in run.jobs["tests"]:
        assert re.fullmatch(r"### Tests: \d+ passed\n", job.summary)
    assert re.search(r"\*\*TOTAL\*\* .* \*\*100%\*\*", run.jobs["coverage"][0].summary)


def test_the_threshold_is_for_all_shards_together(
    run: Run, sharded: Owned, workflow_of: WorkflowOf, tmp_path: Path
) -> None:
    assert 'line-rate="1"' in (run.artifacts / "coverage" / "coverage.xml").read_text()

    fewer = Path(shutil.copytree(run.artifacts, tmp_path / "artifacts"))
    for name in ("tests-2", "coverage"):
        shutil.rmtree(fewer / name)

    [coverage] = workflow_of(sharded).run("coverage", artifacts=fewer).jobs["coverage"]
    assert coverage.failed is not None
    assert coverage.failed.startswith("uv run coverage report")


def test_pre_commit_runs_the_commands_of_lint(installed: Project) -> None:
    workflow, hooks = (
        yaml.safe_load((installed.folder / path).read_text())
        for path in (".github/workflows/tests.yml", ".pre-commit-config.yaml")
    )
    entries = [hook["entry"] for repository in hooks["repos"] for hook in repository["hooks"]]
    commands = [step["run"] for step in workflow["jobs"]["lint"]["steps"] if step.get("run", "").startswith("uv run")]

    assert commands
    assert [
        run for run in commands if not any(entry.startswith(run.removesuffix(" --check")) for entry in entries)
    ] == []
