"""What an update does with each kind of edit: one test for each thing that Copier was seen to do.

The project is of the version to come, and the template goes on to a later one, `v99.0.0`.
"""

import subprocess
from pathlib import Path

import copier
import pytest

from tests.quick_renders import COPIER
from tests.upgrades.conftest import Rendered
from tests.upgrades.history import History, Later, template_file
from tests.upgrades.lived_in import Owned

CLIENT = "tests/harness/app/client.py"
FACTORIES = "tests/factories.py"


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
    assert "git grep --untracked -nE '^(<{7}|>{7}) '" in done.stderr
    assert project.conflicts() == [CLIENT]
    assert "http://owner.test" in project.read(CLIENT)
    assert "http://template.test" in project.read(CLIENT)
    assert project.git("diff", "--name-only", "--diff-filter=U").strip() == CLIENT


@pytest.mark.parametrize(
    "path",
    [
        "tests/harness/reports/tracebacks.py",
        "renovate.json",
        "compose.yaml",
        FACTORIES,
        "tests/test_app.py",
        "README.md",
    ],
)
def test_what_the_user_deleted_stays_deleted(project: Owned, later: Later, path: str, history: History) -> None:
    (project.folder / path).unlink()
    project.commit("Not wanted")

    later({})
    project.update("v99.0.0")

    assert not (project.folder / path).exists()


@pytest.mark.parametrize("path", ["tests/harness/reports/tracebacks.py", "tests/test_app.py"])
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

    assert not (project.folder / "tests/harness/stripe/mock.py").exists()
    assert (project.folder / "src/my_service/payments.py").exists()
    assert "stripe" not in project.read("pyproject.toml")


def test_an_answer_turned_on_brings_the_templates_files_alone(
    history: History, rendered: Rendered, tmp_path: Path
) -> None:
    project = rendered(history.next, payments=False).copy(tmp_path / "project")

    project.update(history.next, payments=True)

    assert (project.folder / "tests/harness/stripe/mock.py").exists()
    assert not (project.folder / "src/my_service/payments.py").exists()
    assert '"stripe>=' in project.read("pyproject.toml")


def test_recopy_keeps_what_the_user_owns_and_nothing_else(project: Owned, history: History) -> None:
    project.replace(CLIENT, "http://test", "http://owner.test")
    project.edit(FACTORIES, lambda text: text + "\n# The owner's.\n")

    copier.run_recopy(project.folder, vcs_ref=history.next, defaults=True, overwrite=True, quiet=True)

    assert "http://owner.test" not in project.read(CLIENT)
    assert project.read(FACTORIES).endswith("# The owner's.\n")
