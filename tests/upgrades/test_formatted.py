"""A house line length: files that the owner's formatter alone has changed do not conflict with an update."""

import subprocess
import sys

import pytest

from tests import releases
from tests.upgrades.conftest import Rendered
from tests.upgrades.history import History, needs_trust
from tests.upgrades.lived_in import Owned


def formatted(history: History, rendered: Rendered, release: releases.Release, folder: pytest.TempPathFactory) -> Owned:
    """A project of a release, with ruff's line length of 100."""
    project = rendered(release.tag).copy(folder.mktemp("formatted") / "project")
    project.replace("pyproject.toml", "line-length = 120", "line-length = 100")
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", "."], cwd=project.folder, check=True)
    return project


def harness(project: Owned) -> dict[str, bytes]:
    return {path: content for path, content in project.contents().items() if path.startswith("tests/harness/")}


@pytest.mark.parametrize("release", releases.releases(), ids=lambda release: release.version)
def test_no_file_that_the_owner_has_not_edited_conflicts(
    history: History, rendered: Rendered, release: releases.Release, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = formatted(history, rendered, release, tmp_path_factory)
    # ruff has something to do in each release; since 0.6.0, not in what updates merge.
    assert any(path.startswith("src/") for path in project.changed())
    assert ("migrations/env.py" in project.changed()) == (release.number < (0, 6, 0))
    project.commit("The house style")

    project.update(history.next, trust=needs_trust(release, history))

    assert project.conflicts() == []
    assert harness(project) == harness(rendered(history.next))


def test_an_edit_beside_the_formatting_is_kept(
    history: History, rendered: Rendered, tmp_path_factory: pytest.TempPathFactory
) -> None:
    release = history.releases[0]
    project = formatted(history, rendered, release, tmp_path_factory)
    path = project.first("tests/harness/guards.py", "tests/harness/client.py")
    project.edit(path, lambda text: f"{text}\n# Of the owner.\n")
    project.commit("The house style, and a comment")

    project.update(history.next, trust=needs_trust(release, history))

    assert any(b"# Of the owner." in content for content in harness(project).values())
