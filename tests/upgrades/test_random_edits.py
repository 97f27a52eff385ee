"""Whatever the owner of a project has done to it, after an update every line that they wrote is still in the tree.

In the file where they wrote it, in the one that took its place, between conflict markers, or in a file `….yours`.
"""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.rendering import files
from tests.upgrades.history import History
from tests.upgrades.lived_in import Owned

OWNERS_LINE = re.compile(rb"owner's line \d+")

# Where the project came from: it says of itself that nobody should edit it.
ANSWERS = ".copier-answers.yml"

MOVES = {
    "tests/harness/app/client.py": "tests/harness/clients.py",
    "tests/harness/checks/test_migrations.py": "tests/harness/checks/test_schema.py",
}


@pytest.fixture(scope="module")
def later(history: History, tmp_path_factory: pytest.TempPathFactory) -> History:
    """A version that has changed every file, at its start, in its middle and at its end, and has moved two."""
    changes: dict[str, str | None] = {}
    for name in files(history.folder / "template"):
        if "answers_file" in name:
            continue
        lines = (history.folder / "template" / name).read_text().splitlines(keepends=True)
        if not name.endswith(".jinja"):
            # In a file with Jinja, the middle line may belong to a block.
            lines[len(lines) // 2 : len(lines) // 2 + 1] = ["# The template's middle.\n"]
        content = "".join(["# The template's first line.\n", *lines, "# The template's last.\n"])
        changes |= {name: None, MOVES.get(name, name): content}
    moves = [("moved", old, new) for old, new in MOVES.items()]
    return history.evolve(tmp_path_factory.mktemp("later") / "savepoint", changes, carrying=moves)


@pytest.fixture(scope="module")
def starts(history: History, later: History, tmp_path_factory: pytest.TempPathFactory) -> list[Owned]:
    """Projects of the first release and of the version to come, to be copied."""
    folder = tmp_path_factory.mktemp("starts")
    versions = [*(release.tag for release in history.releases[:1]), history.next]
    return [Owned.rendered(later.folder, version, folder / version) for version in versions]


Edit = Callable[[Owned, str, str], None]


def lines_of(project: Owned, path: str) -> list[str]:
    return project.read(path).splitlines(keepends=True)


def inserts(place: float) -> Edit:
    def insert(project: Owned, path: str, line: str) -> None:
        lines = lines_of(project, path)
        lines.insert(int(place * (len(lines) + 1)), line)
        project.write(path, "".join(lines))

    return insert


def replaces(place: float, number: int) -> Edit:
    def replace(project: Owned, path: str, line: str) -> None:
        lines = lines_of(project, path)
        start = int(place * len(lines))
        lines[start : start + number] = [line]
        project.write(path, "".join(lines))

    return replace


def rewrites(project: Owned, path: str, line: str) -> None:
    project.write(path, line)


def renames(project: Owned, path: str, line: str) -> None:
    target = f"{path}.renamed"
    if not (project.folder / target).exists():
        (project.folder / path).rename(project.folder / target)
        project.edit(target, lambda text: text + line)


def deletes(project: Owned, path: str, line: str) -> None:
    (project.folder / path).unlink()


def adds_a_neighbour(project: Owned, path: str, line: str) -> None:
    project.write(str(Path(path).with_name("neighbour.py")), line)


def takes_a_name_that_the_template_takes_later(project: Owned, path: str, line: str) -> None:
    project.write(MOVES["tests/harness/app/client.py"], line)


PLACES = st.floats(0, 1, exclude_max=True)
EDITS = st.one_of(
    PLACES.map(inserts),
    st.builds(replaces, PLACES, st.integers(1, 20)),
    st.sampled_from([rewrites, renames, deletes, adds_a_neighbour, takes_a_name_that_the_template_takes_later]),
)

# What moves, what is merged most and what is never touched come up more often than by chance.
FAVOURITES = [*MOVES, "pyproject.toml", "tests/README.md", "migrations/env.py", "tests/conftest.py"]


def owners_lines(project: Owned) -> set[bytes]:
    return {line for content in project.contents().values() for line in OWNERS_LINE.findall(content)}


@settings(
    max_examples=15,
    deadline=None,
    # The same on every machine of CI; a laptop looks elsewhere each time.
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_every_line_of_the_owners_is_still_there(
    data: st.DataObject, starts: list[Owned], tmp_path_factory: pytest.TempPathFactory
) -> None:
    start = data.draw(st.sampled_from(starts))
    project = start.copy(tmp_path_factory.mktemp("edited") / "project")
    paths = [path for path in start.contents() if path != ANSWERS]
    for number in range(data.draw(st.integers(1, 8))):
        path = data.draw(st.one_of(st.sampled_from(paths), st.sampled_from(FAVOURITES)))
        edit = data.draw(EDITS)
        if (project.folder / path).exists():
            edit(project, path, f"owner's line {number}\n")
    project.commit("Edits")
    written = owners_lines(project)

    project.update("v99.0.0", trust=True)

    assert written - owners_lines(project) == set()
    shutil.rmtree(project.folder.parent)
