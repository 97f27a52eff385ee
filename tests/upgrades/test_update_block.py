"""The commands that README.md and tests/README.md give for an update: they stop at a conflict, and show new files."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.environment import clean
from tests.pages import shell_blocks
from tests.quick_renders import COPIER
from tests.rendering import ROOT
from tests.upgrades.history import Later
from tests.upgrades.lived_in import Owned

OWNER = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "The Owner"), ("EMAIL", "owner@example.com"))
}
NEW = "tests/harness/core/new_idea.py"
UV = '#!/bin/sh\necho "ran: uv $@"\n'


def block(project: Owned, page: str) -> str:
    """The commands, of this repository's page or of the project's."""
    if page == "README.md":
        return shell_blocks((ROOT / page).read_text(), "## Upgrade")[0]
    return shell_blocks(project.read(page), "## Updates")[0]


def typed(project: Owned, script: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """The commands as typed into a shell, which does not stop by itself; `uv` succeeds at once."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/uv").write_text(UV)
    (tmp_path / "bin/uv").chmod(0o755)
    env = {**clean(os.environ), **OWNER}
    return subprocess.run(
        ["bash", "-c", script.replace("uvx copier", shlex.join(COPIER))],
        cwd=project.folder,
        env={**env, "PATH": f"{tmp_path / 'bin'}:{env['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


pages = pytest.mark.parametrize("page", ["README.md", "tests/README.md"])


@pages
def test_a_new_file_is_shown_and_committed(project: Owned, later: Later, page: str, tmp_path: Path) -> None:
    later({NEW: '"""A new idea."""\n'})

    done = typed(project, block(project, page), tmp_path)

    assert done.returncode == 0, done.stdout
    assert '+"""A new idea."""' in done.stdout
    assert "ran: uv run pytest" in done.stdout
    assert project.changed() == []
    assert project.git("log", "-1", "--format=%s") == "Update from Savepoint\n"


@pages
def test_a_conflict_stops_it(project: Owned, later: Later, page: str, tmp_path: Path) -> None:
    project.edit("alembic.ini", lambda text: "# of the owner\n" + text)
    project.commit("An edit")
    later({"alembic.ini": "# of the template\n" + project.read("alembic.ini").partition("\n")[2]})

    done = typed(project, block(project, page), tmp_path)

    assert done.returncode != 0
    assert "alembic.ini:" in done.stdout
    assert "<<<<<<< before updating" in done.stdout
    assert "ran: uv" not in done.stdout
    assert project.git("log", "-1", "--format=%s") == "The template has moved\n"
