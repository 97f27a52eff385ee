"""Conflict markers, which an update leaves without a word: the rendered project's pre-commit refuses them.

So does its workflow: tests/workflows.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.upgrades.lived_in import CONFLICT, NO_CONFLICT, Owned

PATH = "tests/harness/app/client.py"


@pytest.mark.parametrize("has_conflict", [False, True], ids=["no conflict", "a conflict"])
def test_pre_commit_refuses_them(project: Owned, has_conflict: bool, tmp_path: Path) -> None:
    project.edit("README.md", lambda text: text + NO_CONFLICT)
    if has_conflict:
        project.edit(PATH, lambda text: text + CONFLICT)
    project.git("add", "--all")
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
