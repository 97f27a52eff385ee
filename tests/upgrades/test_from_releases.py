"""From each release to the working tree, in a project that nobody has touched and in one that is lived in.

Nothing that the user owns changes or comes back, edits of the rest are merged, and the suite is green.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from copier.errors import UnsafeTemplateError

from tests import releases
from tests.environment import UV, synced
from tests.releases import Release
from tests.upgrades.conftest import Rendered
from tests.upgrades.history import History, needs_trust
from tests.upgrades.lived_in import Owned, live_in, owner_of

try:
    RELEASES = releases.releases()
except releases.HistoryError as error:
    # Collected all the same: the fixture `history` says it, in a failure of each test.
    RELEASES = [Release(str(error), "")]

STATES: dict[str, Callable[[Owned], None]] = {"untouched": lambda project: None, "lived in": live_in}


def chosen(found: list[Release], which: str) -> list[Release]:
    """The releases to start from: "all", or of "some" the oldest, the newest and the one between them."""
    if which == "all":
        return found
    assert which == "some", f'SAVEPOINT_UPGRADES is "all" or "some", not {which!r}'
    return [found[number] for number in sorted({0, len(found) // 2, len(found) - 1})]


pytestmark = pytest.mark.xdist_group("upgrades")

each_release = pytest.mark.parametrize(
    "release", chosen(RELEASES, os.environ.get("SAVEPOINT_UPGRADES", "some")), ids=lambda release: release.version
)
each_state = pytest.mark.parametrize("state", STATES)


@dataclass(frozen=True)
class Update:
    """A project before its update to the working tree and after it; not to be written into."""

    old: Owned
    new: Owned


Updates = Callable[[Release, str], Update]


@pytest.fixture(scope="module")
def updates(history: History, rendered: Rendered, tmp_path_factory: pytest.TempPathFactory) -> Updates:
    """`updates(release, state)`: a project of a release, in one of the states, and what its update makes of it."""

    @cache
    def update(release: Release, state: str) -> Update:
        folder = tmp_path_factory.mktemp("update")
        old = rendered(release.tag).copy(folder / "old")
        STATES[state](old)
        new = old.copy(folder / "new")
        new.update(history.next, trust=needs_trust(release, history))
        return Update(old, new)

    return update


@each_release
@each_state
def test_trust_is_asked_for_only_where_a_file_moves(
    updates: Updates, release: Release, state: str, history: History, tmp_path: Path
) -> None:
    if needs_trust(release, history):
        old = updates(release, state).old.copy(tmp_path / "project")
        with pytest.raises(UnsafeTemplateError, match="migrations"):
            old.update(history.next)
        assert old.changed() == []
    else:
        assert f"_commit: {history.next}" in updates(release, state).new.read(".copier-answers.yml")


@each_release
@each_state
def test_what_the_user_owns_is_as_it_was(updates: Updates, release: Release, state: str) -> None:
    new = updates(release, state).new

    assert [path for path in new.changed() if owner_of(path) not in ("template", "shared")] == []


@each_release
def test_edits_of_the_rest_are_merged(updates: Updates, release: Release) -> None:
    update = updates(release, "lived in")
    edits = {path: added_lines(update.old, path) for path in update.old.contents("template", "shared")}
    assert sum(map(bool, edits.values())) == 8

    assert update.new.conflicts() == []
    merged = {
        line.decode() for text in update.new.contents("template", "shared").values() for line in text.splitlines()
    }
    assert {path: lines - merged for path, lines in edits.items() if lines - merged} == {}


def added_lines(project: Owned, path: str) -> set[str]:
    """The lines that a lived-in project has in a file, and its render had not."""
    first = project.git("rev-list", "--max-parents=0", "HEAD").strip()
    diff = project.git("diff", "--unified=0", first, "HEAD", "--", path)
    return {line[1:] for line in diff.splitlines() if line.startswith("+") and not line.startswith("+++")}


@each_release
def test_an_untouched_project_becomes_a_fresh_render(
    updates: Updates, release: Release, history: History, rendered: Rendered
) -> None:
    new = updates(release, "untouched").new

    assert new.contents("template", "shared") == rendered(history.next).contents("template", "shared")


@each_release
@each_state
def test_a_second_update_changes_nothing(
    updates: Updates, release: Release, state: str, history: History, tmp_path: Path
) -> None:
    project = updates(release, state).new.copy(tmp_path / "project")
    before = project.contents()
    project.commit("Update from Savepoint")

    project.update(history.next)

    assert project.changed() == []
    assert project.contents() == before


@each_release
@each_state
def test_the_suite_is_green(
    updates: Updates, release: Release, state: str, environment: Path, default_python: Path, tmp_path: Path
) -> None:
    project = updates(release, state).new.copy(tmp_path / "project")

    output = synced(project.folder, environment, default_python).check(UV, "run", "pytest")

    assert re.search(r"^=+ \d+ passed in ", output, re.M), output


@each_release
def test_what_the_user_wrote_still_fits(
    updates: Updates, release: Release, environment: Path, default_python: Path, tmp_path: Path
) -> None:
    lived_in = updates(release, "lived in").new.copy(tmp_path / "project")

    project = synced(lived_in.folder, environment, default_python)
    project.check(UV, "run", "ruff", "check")
    project.check(UV, "run", "mypy")


def test_of_many_releases_the_oldest_the_newest_and_one_between_are_chosen() -> None:
    found = [Release(f"0.{minor}.0", "") for minor in range(1, 8)]

    assert [release.version for release in chosen(found, "some")] == ["0.1.0", "0.4.0", "0.7.0"]
    assert chosen(found, "all") == found
    for few in range(1, 4):
        assert chosen(found[:few], "some") == found[:few]
