"""What Copier refuses to update, with its own words, and what was there unchanged."""

import re
import subprocess
from pathlib import Path

import pytest
from copier.errors import DirtyLocalWarning, UserMessageError

from tests.quick_renders import COPIER
from tests.rendering import git
from tests.upgrades.history import History, Later
from tests.upgrades.lived_in import Owned

CLIENT = "tests/harness/app/client.py"


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


@pytest.mark.parametrize(
    ("answer", "edited", "says"),
    [
        (
            "coverage_threshold: '80'",
            "coverage_threshold: most",
            "coverage_threshold.*must be a whole number from 0 to 100",
        ),
        ("package_name: my_service", "package_name: My Service", "package_name.*must be a lower-case ASCII identifier"),
        ("python_version: '3.11'", "python_version: '3.10'", r"python_version.*'3\.10' is not in \["),
        ("postgres_version: 18", "postgres_version: 14", r"postgres_version.*14 is not in \[15, 16, 17, 18\]"),
        ("auth: true", "auth: maybe", "auth.*must be true or false in .copier-answers.yml"),
        ("payments: true", "payments: 'no'", "payments.*must be true or false in .copier-answers.yml"),
        ("postgres_image: ''", "postgres_image: latest", "postgres_image.*must be an image with a tag"),
    ],
    ids=lambda text: text.partition(":")[0] if ": " in text else None,
)
def test_an_answer_that_was_edited_by_hand_and_is_invalid_is_refused(
    project: Owned, later: Later, answer: str, edited: str, says: str
) -> None:
    """The last line names it; the lines above are a traceback of Copier's."""
    later({CLIENT: "# later\n"})
    project.replace(".copier-answers.yml", answer, edited)
    project.commit("Another answer, by hand")

    command = [*COPIER, "update", "--defaults"]
    done = subprocess.run(command, cwd=project.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    assert done.returncode != 0
    assert re.search(says, done.stderr.splitlines()[-1])
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
