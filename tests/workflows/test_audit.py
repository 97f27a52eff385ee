"""Every workflow: zizmor finds nothing, the schema is valid, and jobs have minimal permissions."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.rendering import ROOT, Render

BIN = Path(sys.executable).parent


@pytest.fixture(params=["here", "rendered", "bare", "set"])
def folder(request: pytest.FixtureRequest, render: Render) -> Path:
    """The workflows of this repository, or of a render."""
    bare: dict[str, object] = {"auth": False, "payments": False, "postgres_version": 15, "python_version": "3.14"}
    of_the_owner: dict[str, object] = {
        "ci_runner": "[self-hosted, linux]",
        "ci_index": "https://packages.example.com/simple",
    }
    answers: dict[str, dict[str, object]] = {"rendered": {}, "bare": bare, "set": of_the_owner}
    root = ROOT if request.param == "here" else render(**answers[request.param])
    return root / ".github" / "workflows"


def test_zizmor_finds_nothing(folder: Path) -> None:
    check(BIN / "zizmor", "--offline", "--no-progress", "--strict-collection", "--persona=pedantic", folder)


def test_only_the_image_of_postgresql_is_ignored(folder: Path) -> None:
    """A digest would pin its minor release."""
    lines = [line for path in folder.iterdir() for line in path.read_text().splitlines() if "zizmor:" in line]

    pattern = r" +image: postgres:\d+ # zizmor: ignore\[unpinned-images\]"
    assert [line for line in lines if not re.fullmatch(pattern, line)] == []


def test_the_schema_is_valid(folder: Path) -> None:
    check(BIN / "check-jsonschema", "--builtin-schema=vendor.github-workflows", *folder.iterdir())


def test_actions_are_pinned_by_hash(folder: Path) -> None:
    used = [
        line.partition("uses:")[2].strip()
        for path in folder.iterdir()
        for line in path.read_text().splitlines()
        if "uses:" in line and "uses: $/" not in line
    ]

    assert used
    assert [action for action in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)] == []


def test_jobs_have_permissions_and_timeouts(folder: Path) -> None:
    for path in folder.iterdir():
        workflow = yaml.safe_load(path.read_text())
        assert workflow["permissions"] == {}, path
        assert workflow["concurrency"], path
        for name, job in workflow["jobs"].items():
            assert "permissions" in job, name
            # What a workflow calls has a time-out of its own.
            assert "uses" in job or 0 < job["timeout-minutes"] <= 60, name


def check(*command: str | Path) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
