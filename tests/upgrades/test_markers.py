"""Conflict markers, which an update leaves without a word: the rendered project's CI and pre-commit refuse them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.upgrades.lived_in import Owned

PATH = "tests/harness/client.py"

# Setext headings and a table fool `git diff --check`.
NO_MARKERS = """
Heading
=======

<<<<<<<not a marker
a <<<<<<< b
>>>>>>>>>> quoted
"""


@pytest.fixture(params=["no conflict", "a conflict"])
def has_conflict(request: pytest.FixtureRequest, project: Owned) -> bool:
    has_conflict = bool(request.param == "a conflict")
    markers = "<<<<<<< before updating\nours\n=======\ntheirs\n>>>>>>> after updating\n"
    project.edit("README.md", lambda text: text + NO_MARKERS)
    if has_conflict:
        project.edit(PATH, lambda text: text + markers)
    project.git("add", "--all")
    return has_conflict


def test_the_workflow_refuses_them(project: Owned, has_conflict: bool) -> None:
    workflow = yaml.safe_load(project.read(".github/workflows/tests.yml"))
    [step] = [step for step in workflow["jobs"]["lint"]["steps"] if "git grep" in step.get("run", "")]
    project.commit("Everything")

    # As GitHub runs a step.
    done = subprocess.run(["bash", "-e", "-c", step["run"]], cwd=project.folder, capture_output=True, text=True)

    assert (done.returncode != 0) == has_conflict
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [PATH] * 2 * has_conflict


def test_pre_commit_refuses_them(project: Owned, has_conflict: bool, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pre_commit", "run", "conflict-markers", "--color=never"]

    done = subprocess.run(
        command,
        cwd=project.folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )

    assert (done.returncode != 0) == has_conflict, done.stdout
    assert set(re.findall(r"^(\S+\.\w+):", done.stdout, re.M)) == ({PATH} if has_conflict else set())
