"""A file of the template's that moves, is split or goes, and the hook that carries the user's edits over."""

import subprocess
import sys
from pathlib import Path

import copier
import pytest

from tests.quick_renders import COPIER
from tests.releases import Release
from tests.rendering import git
from tests.upgrades.history import History, Later, template_file
from tests.upgrades.lived_in import Owned
from tests.upgrades.test_from_releases import RELEASES

CLIENT = "tests/harness/app/client.py"
CLIENTS = "tests/harness/clients.py"
CLIENT_BEFORE = "tests/harness/client.py"


@pytest.fixture
def moving(history: History, later: Later) -> Later:
    """A later version that moves client.py, with a change of its own in the new place."""

    def moving(**change: str) -> History:
        content = template_file(history, CLIENT)
        for old, new in change.items():
            content = content.replace(old, new)
        changes = {CLIENT: None, CLIENTS: f"{content}\n# The template's last line.\n"}
        return later(changes, ("moved", CLIENT, CLIENTS))

    return moving


def test_a_file_that_moves_without_a_hook_takes_the_edit_with_it(
    project: Owned, later: Later, history: History
) -> None:
    """Why there are hooks."""
    project.replace(CLIENT, "http://test", "http://owner.test")

    later({CLIENT: None, CLIENTS: template_file(history, CLIENT)})
    project.update("v99.0.0")

    assert not any(b"owner.test" in content for content in project.contents().values())


@pytest.mark.parametrize("folder", ["project", "a folder with spaces, ümlauts"])
def test_an_edit_moves_with_its_file(project: Owned, moving: Later, folder: str) -> None:
    project.replace(CLIENT, "http://test", "http://owner.test")
    moving()
    project = Owned(project.folder.rename(project.folder.with_name(folder)))

    project.update("v99.0.0", trust=True)

    assert not (project.folder / CLIENT).exists()
    assert "http://owner.test" in project.read(CLIENTS)
    assert project.read(CLIENTS).endswith("# The template's last line.\n")
    assert project.changed() == [".copier-answers.yml", CLIENT, CLIENTS]


def test_an_edit_that_does_not_fit_where_its_file_moves_is_a_conflict(
    project: Owned, moving: Later, capfd: pytest.CaptureFixture[str]
) -> None:
    project.replace(CLIENT, "http://test", "http://owner.test")
    moving(**{"http://test": "http://template.test"})

    project.update("v99.0.0", trust=True)

    assert "CONFLICT" in capfd.readouterr().out
    assert project.conflicts() == [CLIENTS]
    assert "http://owner.test" in project.read(CLIENTS)
    assert project.git("diff", "--name-only", "--diff-filter=U").strip() == CLIENTS


def test_a_deletion_moves_with_its_file(project: Owned, moving: Later) -> None:
    (project.folder / CLIENT).unlink()
    moving()

    project.update("v99.0.0", trust=True)

    assert not (project.folder / CLIENTS).exists()


def test_a_file_that_nobody_edited_just_moves(project: Owned, moving: Later) -> None:
    later = moving()

    project.update("v99.0.0", trust=True)

    assert project.read(CLIENTS) == template_file(later, CLIENTS)


def test_a_file_of_the_users_stands_where_one_moves(project: Owned, moving: Later) -> None:
    project.replace(CLIENT, "http://test", "http://owner.test")
    project.write(CLIENTS, "OWNER = 1\n")
    moving()

    project.update("v99.0.0", trust=True)

    assert "OWNER = 1" in project.read(CLIENTS)
    assert "http://owner.test" in project.read(f"{CLIENT}.yours")


def test_a_file_of_the_users_stands_where_one_moves_that_they_deleted(
    project: Owned, moving: Later, capfd: pytest.CaptureFixture[str]
) -> None:
    (project.folder / CLIENT).unlink()
    project.write(CLIENTS, "OWNER = 1\n")
    moving()

    project.update("v99.0.0", trust=True)

    assert "OWNER = 1" in project.read(CLIENTS)
    assert f"{CLIENTS} is your own, and has the template's lines too" in capfd.readouterr().out


def test_a_project_below_the_top_of_its_repository(history: History, tmp_path: Path, moving: Later) -> None:
    folder = tmp_path / "mono repo" / "service"
    copier.run_copy(str(moving().folder), folder, defaults=True, vcs_ref=history.next, quiet=True)
    git(folder.parent, "init", "--quiet")
    project = Owned(folder)
    project.replace(CLIENT, "http://test", "http://owner.test")
    project.commit("Everything")

    project.update("v99.0.0", trust=True)

    assert "http://owner.test" in project.read(CLIENTS)
    assert not (folder / CLIENT).exists()


@pytest.mark.parametrize("edited", [True, False])
def test_an_edit_of_a_file_that_is_split_is_kept_beside_it(
    project: Owned, later: Later, edited: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    if edited:
        project.replace(CLIENT, "http://test", "http://owner.test")
    mine = project.read(CLIENT)
    parts = {"tests/harness/a.py": "A = 1\n", "tests/harness/b.py": "B = 1\n"}
    later({CLIENT: None, **parts}, ("gone", CLIENT, *parts))

    project.update("v99.0.0", trust=True)

    kept = project.folder / f"{CLIENT}.yours"
    assert kept.exists() == edited
    if edited:
        assert kept.read_text() == mine
        assert f"Yours is in {CLIENT}.yours: move your edits over, then delete it." in capfd.readouterr().out


def test_an_edit_of_a_file_with_jinja_is_kept_beside_it(project: Owned, later: Later, history: History) -> None:
    old, new = "migrations/env.py", "migrations/environment.py"
    project.edit(old, lambda text: text + "# The owner's.\n")
    later({f"{old}.jinja": None, f"{new}.jinja": template_file(history, f"{old}.jinja")}, ("moved", old, new))

    project.update("v99.0.0", trust=True)

    assert project.read(f"{old}.yours").endswith("# The owner's.\n")
    assert "# The owner's." not in project.read(new)


def test_a_hook_that_runs_again_changes_nothing(
    project: Owned, moving: Later, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.replace(CLIENT, "http://test", "http://owner.test")
    later = moving()
    project.update("v99.0.0", trust=True)
    before = project.contents()
    monkeypatch.setenv("VERSION_FROM", history.next)
    monkeypatch.setenv("VERSION_TO", "v99.0.0")

    command = [sys.executable, "-I", str(later.folder / "hooks/carry_edits.py"), "moved", CLIENT, CLIENTS]
    subprocess.run(command, cwd=project.folder, check=True)

    assert project.contents() == before


def test_a_migration_without_trust_is_refused_and_nothing_is_written(project: Owned, moving: Later) -> None:
    moving()
    command = [*COPIER, "update", "--skip-answered", "--vcs-ref", "v99.0.0", "."]

    done = subprocess.run(command, cwd=project.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    assert done.returncode != 0
    assert "--trust" in done.stderr
    assert project.changed() == []


OWN = '''\
"""Of the project's own."""

import pytest


@pytest.fixture
def own() -> int:
    """A fixture."""
    return 1
'''


# Later ones have folders.
WITHOUT_FOLDERS = [release for release in RELEASES if release.version in ("0.1.0", "0.2.0", "0.3.0")]


@pytest.mark.parametrize("payments", [True, False])
@pytest.mark.parametrize("release", WITHOUT_FOLDERS, ids=lambda release: release.version)
def test_a_harness_whose_files_were_deleted_and_renamed_gets_folders(
    release: Release, payments: bool, history: History, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A file that others import comes back; what is the project's own stays, and is named."""
    project = Owned.rendered(history.folder, release.tag, tmp_path / "project", payments=payments)
    (project.folder / "tests/harness/savepoint.py").unlink()
    project.git("mv", CLIENT_BEFORE, "tests/harness/clients.py")
    project.write("tests/harness/own.py", OWN)
    project.commit("The harness as the owner wants it")
    capfd.readouterr()

    project.update(history.next, trust=True)

    fresh = Owned.rendered(history.folder, history.next, tmp_path / "fresh", payments=payments)
    own = {path: project.read(f"tests/harness/{path}") for path in ("clients.py", "own.py")}
    assert own == {"clients.py": git(history.folder, "show", f"{release.tag}:template/{CLIENT_BEFORE}"), "own.py": OWN}
    expected = fresh.contents("template", "shared")
    assert {path: project.contents()[path] for path in expected} == expected
    said = capfd.readouterr().out
    assert "tests/harness/savepoint.py, which your project had deleted, is tests/harness/database/savepoint.py" in said
    assert f"{CLIENT_BEFORE}, which your project had deleted, is {CLIENT}" in said
    assert said.count(", and is back: other files import it.") == 2
    for name in ("clients", "own"):
        own_file = f"tests/harness/{name}.py is your own. List it in tests/conftest.py: "
        line = f'{own_file}pytest_plugins = [..., "tests.harness.{name}"]'
        assert line in said
    assert said.count(" is your own. ") == 2
