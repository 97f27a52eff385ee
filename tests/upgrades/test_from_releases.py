"""From each release to the working tree, in a project that nobody has touched and in one that is lived in.

Nothing that the user owns changes or comes back, edits of the rest are merged, and the suite is green.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from copier.errors import UnsafeTemplateError

from tests import releases
from tests.environment import UV, synced
from tests.releases import Release
from tests.upgrades.history import History, needs_trust
from tests.upgrades.lived_in import Owned, live_in, owner_of

try:
    RELEASES = releases.releases()
except releases.HistoryError as error:
    # Collected all the same: the fixture `history` says it, in a failure of each test.
    RELEASES = [Release(str(error), "")]

STATES: dict[str, Callable[[Owned], None]] = {"untouched": lambda project: None, "lived in": live_in}

pytestmark = [
    pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.version),
    pytest.mark.xdist_group("upgrades"),
]


@pytest.fixture(params=STATES)
def old(request: pytest.FixtureRequest, release: Release, history: History, tmp_path: Path) -> Owned:
    """A project of an earlier release, in one of the states."""
    project = Owned.rendered(history.folder, release.tag, tmp_path / "project")
    STATES[request.param](project)
    return project


def upgrade(project: Owned, release: Release, history: History) -> None:
    project.update(history.next, trust=needs_trust(release, history))


def test_trust_is_asked_for_only_where_a_file_moves(old: Owned, release: Release, history: History) -> None:
    if needs_trust(release, history):
        with pytest.raises(UnsafeTemplateError, match="migrations"):
            old.update(history.next)
        assert old.changed() == []
    else:
        old.update(history.next)
        assert f"_commit: {history.next}" in old.read(".copier-answers.yml")


def test_what_the_user_owns_is_as_it_was(old: Owned, release: Release, history: History) -> None:
    upgrade(old, release, history)

    assert [path for path in old.changed() if owner_of(path) not in ("template", "shared")] == []


def test_edits_of_the_rest_are_merged(release: Release, history: History, tmp_path: Path) -> None:
    project = Owned.rendered(history.folder, release.tag, tmp_path / "project")
    live_in(project)
    edits = {path: added_lines(project, path) for path in project.contents("template", "shared")}
    assert sum(map(bool, edits.values())) == 8

    upgrade(project, release, history)

    assert project.conflicts() == []
    merged = {line.decode() for text in project.contents("template", "shared").values() for line in text.splitlines()}
    assert {path: lines - merged for path, lines in edits.items() if lines - merged} == {}


def added_lines(project: Owned, path: str) -> set[str]:
    """The lines that a lived-in project has in a file, and its render had not."""
    first = project.git("rev-list", "--max-parents=0", "HEAD").strip()
    diff = project.git("diff", "--unified=0", first, "HEAD", "--", path)
    return {line[1:] for line in diff.splitlines() if line.startswith("+") and not line.startswith("+++")}


def test_an_untouched_project_becomes_a_fresh_render(release: Release, history: History, tmp_path: Path) -> None:
    project = Owned.rendered(history.folder, release.tag, tmp_path / "project")

    upgrade(project, release, history)

    fresh = Owned.rendered(history.folder, history.next, tmp_path / "fresh")
    assert project.contents("template", "shared") == fresh.contents("template", "shared")


def test_a_second_update_changes_nothing(old: Owned, release: Release, history: History) -> None:
    upgrade(old, release, history)
    before = old.contents()
    old.commit("Update from Savepoint")

    old.update(history.next)

    assert old.changed() == []
    assert old.contents() == before


def test_the_suite_is_green(
    old: Owned, release: Release, history: History, environment: Path, default_python: Path
) -> None:
    upgrade(old, release, history)

    output = synced(old.folder, environment, default_python).check(UV, "run", "pytest")

    assert re.search(r"^=+ \d+ passed in ", output, re.M), output


def test_what_the_user_wrote_still_fits(
    release: Release, history: History, environment: Path, default_python: Path, tmp_path: Path
) -> None:
    lived_in = Owned.rendered(history.folder, release.tag, tmp_path / "project")
    live_in(lived_in)

    upgrade(lived_in, release, history)

    project = synced(lived_in.folder, environment, default_python)
    project.check(UV, "run", "ruff", "check")
    project.check(UV, "run", "mypy")
