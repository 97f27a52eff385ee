"""The rendered workflow's shards: each test runs in one of them, and the gate is for the coverage of all together."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from tests.environment import UV, Project, synced
from tests.rendering import Render

pytestmark = pytest.mark.xdist_group("coverage")

SHARDS = 3


def step(project: Project, job: str, words: str, expressions: Mapping[str, object] | None = None) -> list[str]:
    """The command of a step, with GitHub's expressions replaced."""
    workflow = yaml.safe_load((project.folder / ".github/workflows/tests.yml").read_text())
    [run] = [step["run"] for step in workflow["jobs"][job]["steps"] if words in step.get("run", "")]
    for name, value in (expressions or {}).items():
        run = run.replace(f"${{{{ {name} }}}}", str(value))
    assert "${{" not in run
    return [UV if word == "uv" else word for word in run.split()]


@pytest.fixture
def project(render: Render, environment: Path, default_python: Path, tmp_path: Path) -> Project:
    return synced(render.copy(tmp_path / "project", coverage_threshold="100"), environment, default_python)


def test_shards(project: Project) -> None:
    passed = []
    for shard in range(1, SHARDS + 1):
        env = {**project.env, "COVERAGE_FILE": f".coverage.{shard}"}
        expressions = {"github.run_id": 123456789012, "strategy.job-total": SHARDS, "matrix.shard": shard}
        output = Project(project.folder, env).check(*step(project, "tests", "pytest", expressions))
        [count] = re.findall(r"(\d+) passed", output)
        passed.append(int(count))

    [collected] = re.findall(r"(\d+) tests collected", project.check(UV, "run", "pytest", "--collect-only", "-q"))
    assert sum(passed) == int(collected)
    assert max(passed) - min(passed) < 5

    kept = {path: path.read_bytes() for path in project.folder.glob(".coverage.*")}
    assert len(kept) == SHARDS
    project.check(*step(project, "coverage", "combine"))
    assert "100%" in project.check(*step(project, "coverage", "report"))
    # A shard whose data is missing is a gate that is missed.
    for path, content in list(kept.items())[1:]:
        path.write_bytes(content)
    project.check(*step(project, "coverage", "combine"))
    assert project.run(*step(project, "coverage", "report")).returncode != 0
