"""What an update prints when it has ended: what to look at, and the changelog of all versions that it has crossed."""

import subprocess

import pytest

from tests import releases
from tests.quick_renders import COPIER
from tests.upgrades.conftest import Rendered
from tests.upgrades.history import History
from tests.upgrades.lived_in import Owned


def printed(project: Owned, version: str) -> str:
    """What `copier update` prints."""
    command = [*COPIER, "update", "--defaults", "--trust", f"--vcs-ref={version}"]
    done = subprocess.run(command, cwd=project.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize("release", releases.releases(), ids=lambda release: release.version)
def test_the_changelog_of_all_versions_crossed_is_printed(
    history: History, rendered: Rendered, release: releases.Release, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = rendered(release.tag).copy(tmp_path_factory.mktemp("from") / "project")

    message = printed(project, history.next)

    sections = releases.sections()
    newer = list(sections)[: list(sections).index(release.version)]
    assert [version for version in sections if f"\n## {version}" in message] == newer
    for version in newer:
        assert sections[version].splitlines()[0] in message
    assert f"Changes since {release.version}:" in message or not newer


def test_from_a_commit_without_a_tag_the_newest_section_is_printed(project: Owned, history: History) -> None:
    commit = project.read(".copier-answers.yml").partition("_commit: ")[2].splitlines()[0]
    sha = subprocess.run(
        ["git", "-C", str(history.folder), "rev-parse", f"{commit}^{{commit}}"], capture_output=True, text=True
    ).stdout.strip()
    project.replace(".copier-answers.yml", f"_commit: {commit}", f"_commit: {sha}")
    project.commit("A render of a commit")

    message = printed(project, history.next)

    sections = list(releases.sections())
    assert "Changes in the newest version:" in message
    assert [version for version in sections if f"\n## {version}" in message] == sections[:1]
