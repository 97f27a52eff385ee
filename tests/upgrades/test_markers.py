"""Conflict markers and rejected hunks, which an update leaves without a word: a project's pre-commit refuses them.

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

    refused = refused_files(project, "conflict-markers", tmp_path)

    assert refused == ({PATH} if has_conflict else set())


def test_pre_commit_refuses_rejected_hunks(project: Owned, tmp_path: Path) -> None:
    assert refused_files(project, "rejected-hunks", tmp_path) == set()
    project.write(f"{PATH}.rej", "@@ -1 +1 @@\n-old\n+new\n")
    project.git("add", "--all")

    assert refused_files(project, "rejected-hunks", tmp_path) == {f"{PATH}.rej"}


def refused_files(project: Owned, hook: str, home: Path) -> set[str]:
    """The files that a hook of pre-commit names; it fails if it names any."""
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", "run", hook, "--color=never"],
        cwd=project.folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home)},
        capture_output=True,
        text=True,
    )
    named = set(re.findall(r"^(\S+\.(?:py|rej))(?::|$)", done.stdout, re.M))
    assert (done.returncode != 0) == bool(named), done.stdout
    return named
