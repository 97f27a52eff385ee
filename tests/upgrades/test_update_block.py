"""The commands that README.md and tests/README.md give for an update: they stop at a conflict, and show new files."""

import pytest

from tests.pages import shell_blocks
from tests.rendering import ROOT
from tests.upgrades.history import Later
from tests.upgrades.lived_in import Owned
from tests.upgrades.typed import typed

NEW = "tests/harness/core/new_idea.py"
UV = '#!/bin/sh\necho "ran: uv $@"\n'


def block(project: Owned, page: str) -> str:
    """The commands, of this repository's page or of the project's."""
    if page == "README.md":
        return shell_blocks((ROOT / page).read_text(), "## Upgrade")[0]
    return shell_blocks(project.read(page), "## Updates")[0]


pages = pytest.mark.parametrize("page", ["README.md", "tests/README.md"])


@pages
def test_a_new_file_is_shown_and_committed(project: Owned, later: Later, page: str) -> None:
    later({NEW: '"""A new idea."""\n'})

    done = typed(block(project, page), project.folder, UV)

    assert done.returncode == 0, done.stdout
    assert '+"""A new idea."""' in done.stdout
    assert "ran: uv run pytest" in done.stdout
    assert project.changed() == []
    assert project.git("log", "-1", "--format=%s") == "Update from Savepoint\n"


@pages
def test_a_conflict_stops_it(project: Owned, later: Later, page: str) -> None:
    project.edit("alembic.ini", lambda text: "# of the owner\n" + text)
    project.commit("An edit")
    later({"alembic.ini": "# of the template\n" + project.read("alembic.ini").partition("\n")[2]})

    done = typed(block(project, page), project.folder, UV)

    assert done.returncode != 0
    assert "alembic.ini:" in done.stdout
    assert "<<<<<<< before updating" in done.stdout
    assert "ran: uv" not in done.stdout
    assert project.git("log", "-1", "--format=%s") == "The template has moved\n"
