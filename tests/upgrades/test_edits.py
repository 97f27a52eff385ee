"""What an update does with each kind of edit: one test for each thing that Copier was seen to do.

The project is of the version to come, and the template goes on to a later one, `v99.0.0`.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import copier
import pytest
from copier.errors import DirtyLocalWarning, UserMessageError

from tests.rendering import git
from tests.upgrades.history import History
from tests.upgrades.lived_in import Owned

Later = Callable[..., History]

CLIENT = "tests/harness/client.py"
CLIENTS = "tests/harness/clients.py"
FACTORIES = "tests/factories.py"
COPIER = [sys.executable, "-m", "copier"]


@pytest.fixture
def later(history: History, tmp_path: Path, project: Owned) -> Later:
    """`later({path: content})`: a later version of the template, which `project` can be updated to."""

    def later(changes: dict[str, str | None], *carrying: Sequence[str]) -> History:
        evolved = history.evolve(tmp_path / "later", changes, carrying=carrying)
        project.replace(".copier-answers.yml", f"_src_path: {history.folder}", f"_src_path: {evolved.folder}")
        project.commit("The template has moved")
        return evolved

    return later


def template_file(history: History, path: str) -> str:
    return (history.folder / "template" / path).read_text()


def test_an_edit_of_what_the_template_left_alone_is_kept(project: Owned, later: Later) -> None:
    project.replace(CLIENT, "http://test", "http://owner.test")

    later({"tests/harness/new.py": '"""A new one."""\n'})
    project.update("v99.0.0")

    assert "http://owner.test" in project.read(CLIENT)
    assert "A new one" in project.read("tests/harness/new.py")


def test_edits_apart_from_each_other_are_merged(project: Owned, later: Later, history: History) -> None:
    project.replace(CLIENT, "http://test", "http://owner.test")

    later({CLIENT: template_file(history, CLIENT) + "\n# The template's last line.\n"})
    project.update("v99.0.0")

    assert "http://owner.test" in project.read(CLIENT)
    assert project.read(CLIENT).endswith("# The template's last line.\n")
    assert project.conflicts() == []


@pytest.mark.parametrize("edit", ["of the same line", "at the end"])
def test_edits_of_the_same_place_are_a_conflict_that_is_named(
    project: Owned, later: Later, history: History, edit: str
) -> None:
    ours = template_file(history, CLIENT)
    theirs = ours
    if edit == "of the same line":
        project.replace(CLIENT, "http://test", "http://owner.test")
        theirs = theirs.replace("http://test", "http://template.test")
    else:
        project.edit(CLIENT, lambda text: text + "OWNER = 'http://owner.test'\n")
        theirs += "TEMPLATE = 'http://template.test'\n"

    later({CLIENT: theirs})
    command = [*COPIER, "update", "--skip-answered", "--vcs-ref", "v99.0.0", "."]
    done = subprocess.run(command, cwd=project.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    # Copier says nothing of it, and ends with 0. The message does, and so do the project's own CI and pre-commit.
    assert done.returncode == 0, done.stderr
    assert "git grep -nE '^(<{7}|>{7}) '" in done.stderr
    assert project.conflicts() == [CLIENT]
    assert "http://owner.test" in project.read(CLIENT)
    assert "http://template.test" in project.read(CLIENT)
    assert project.git("diff", "--name-only", "--diff-filter=U").strip() == CLIENT


@pytest.mark.parametrize(
    "path",
    ["tests/harness/tracebacks.py", "renovate.json", "compose.yaml", FACTORIES, "tests/test_app.py", "README.md"],
)
def test_what_the_user_deleted_stays_deleted(project: Owned, later: Later, path: str, history: History) -> None:
    (project.folder / path).unlink()
    project.commit("Not wanted")

    later({})
    project.update("v99.0.0")

    assert not (project.folder / path).exists()


@pytest.mark.parametrize("path", ["tests/harness/tracebacks.py", "tests/test_app.py"])
def test_what_the_user_deleted_stays_deleted_when_the_template_changes_it(
    project: Owned, later: Later, path: str, history: History
) -> None:
    (project.folder / path).unlink()
    name = next(name for name in (path, f"{path}.jinja") if (history.folder / "template" / name).exists())

    later({name: template_file(history, name) + "\n# More.\n"})
    project.update("v99.0.0")

    assert not (project.folder / path).exists()


def test_a_file_that_the_user_renamed_keeps_its_name_and_misses_the_change(
    project: Owned, later: Later, history: History
) -> None:
    project.git("mv", CLIENT, "tests/harness/clients.py")

    later({CLIENT: template_file(history, CLIENT) + "\n# The template's last line.\n"})
    project.update("v99.0.0")

    assert not (project.folder / CLIENT).exists()
    assert project.read("tests/harness/clients.py") == template_file(history, CLIENT)


@pytest.mark.parametrize("goes", [True, False], ids=["that the template removes", "that the template changes"])
def test_a_file_of_the_users_is_not_touched(project: Owned, later: Later, goes: bool) -> None:
    project.edit(FACTORIES, lambda text: text + "\n# The owner's.\n")

    later({f"{FACTORIES}.jinja": None if goes else "# All new.\n"})
    project.update("v99.0.0")

    assert project.changed() == [".copier-answers.yml"]


def test_a_file_that_both_have_added_is_a_conflict(project: Owned, later: Later) -> None:
    project.write("tests/harness/both.py", "OWNER = 1\n")

    later({"tests/harness/both.py": "TEMPLATE = 1\n"})
    project.update("v99.0.0")

    assert project.conflicts() == ["tests/harness/both.py"]
    assert {"OWNER = 1", "TEMPLATE = 1"} <= set(project.read("tests/harness/both.py").splitlines())


def test_the_lock_is_not_touched(project: Owned, later: Later) -> None:
    project.write("uv.lock", "# What the owner has installed.\n")

    later({"tests/harness/new.py": '"""A new one."""\n'})
    project.update("v99.0.0")

    assert project.changed() == [".copier-answers.yml", "tests/harness/new.py"]


def test_an_answer_turned_off_takes_the_templates_files_and_leaves_the_users(project: Owned, history: History) -> None:
    project.update(history.next, payments=False)

    assert not (project.folder / "tests/harness/stripe.py").exists()
    assert (project.folder / "src/my_service/payments.py").exists()
    assert "stripe" not in project.read("pyproject.toml")


def test_an_answer_turned_on_brings_the_templates_files_alone(history: History, tmp_path: Path) -> None:
    project = Owned.rendered(history.folder, history.next, tmp_path / "project", payments=False)

    project.update(history.next, payments=True)

    assert (project.folder / "tests/harness/stripe.py").exists()
    assert not (project.folder / "src/my_service/payments.py").exists()
    assert '"stripe>=' in project.read("pyproject.toml")


def test_recopy_keeps_what_the_user_owns_and_nothing_else(project: Owned, history: History) -> None:
    project.replace(CLIENT, "http://test", "http://owner.test")
    project.edit(FACTORIES, lambda text: text + "\n# The owner's.\n")

    copier.run_recopy(project.folder, vcs_ref=history.next, defaults=True, overwrite=True, quiet=True)

    assert "http://owner.test" not in project.read(CLIENT)
    assert project.read(FACTORIES).endswith("# The owner's.\n")


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


def test_a_dirty_project_is_refused(project: Owned, history: History) -> None:
    project.replace(CLIENT, "http://test", "http://owner.test")

    with pytest.raises(UserMessageError, match="Destination repository is dirty"):
        project.update(history.next)

    assert project.changed() == [CLIENT]


def test_a_project_without_git_is_refused(project: Owned, history: History) -> None:
    project.folder.joinpath(".git").rename(project.folder.parent / "put aside")

    with pytest.raises(UserMessageError, match="only supported in git-tracked subprojects"):
        project.update(history.next)


def test_a_downgrade_is_refused(project: Owned, later: Later, history: History) -> None:
    later({})
    project.update("v99.0.0")
    project.commit("Update")

    with pytest.raises(UserMessageError, match=r"You are downgrading from 99\.0\.0"):
        project.update(history.next)

    assert project.changed() == []


def test_a_project_without_answers_is_refused(project: Owned, history: History) -> None:
    (project.folder / ".copier-answers.yml").unlink()
    project.commit("Who needs them")

    # Copier's words for it are few.
    with pytest.raises(TypeError, match="Template not found"):
        project.update(history.next)

    assert project.changed() == []


def test_a_template_named_by_a_relative_path_is_not_found_again(history: History, tmp_path: Path) -> None:
    """Why README.md says "$PWD"."""
    command = [*COPIER, "copy", "--defaults", "--quiet", history.folder.name, str(tmp_path / "project")]
    subprocess.run(command, cwd=history.folder.parent, check=True, stdin=subprocess.DEVNULL)
    project = Owned(tmp_path / "project")
    git(project.folder, "init", "--quiet")
    project.commit("Render from Savepoint")

    update = [*COPIER, "update", "--defaults"]
    done = subprocess.run(update, cwd=project.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    assert done.returncode != 0
    assert project.changed() == []


def test_a_project_of_a_commit_past_the_last_tag_waits_for_the_next(
    project: Owned, later: Later, history: History, tmp_path: Path
) -> None:
    evolved = later({})
    git(evolved.folder, "commit", "--quiet", "--allow-empty", "--message=Past the tag")
    ahead = Owned.rendered(evolved.folder, "HEAD", tmp_path / "ahead")

    command = [*COPIER, "update", "--defaults"]
    done = subprocess.run(command, cwd=ahead.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    assert done.returncode != 0
    assert "You are downgrading" in done.stderr
    assert ahead.changed() == []


def test_a_project_of_a_dirty_checkout_cannot_be_updated(history: History, tmp_path: Path) -> None:
    """Its `_commit` names a commit that nobody has: why README.md wants a release for a project that is to last."""
    dirty = history.evolve(tmp_path / "dirty", {}).folder
    (dirty / "template" / "renovate.json").write_text("{}\n")
    with pytest.warns(DirtyLocalWarning):
        project = Owned.rendered(dirty, "HEAD", tmp_path / "of a dirty checkout")
    git(dirty, "commit", "--all", "--quiet", "--message=Clean")
    git(dirty, "tag", "v100.0.0")

    command = [*COPIER, "update", "--defaults"]
    done = subprocess.run(command, cwd=project.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    assert done.returncode != 0
    assert project.changed() == []
