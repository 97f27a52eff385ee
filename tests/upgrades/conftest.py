"""The template's history, and projects that were rendered from it."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.upgrades.history import History, Later
from tests.upgrades.lived_in import Owned

Rendered = Callable[..., Owned]


@pytest.fixture(scope="session")
def rendered(history: History, tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """`rendered(version, auth=False)`: a project as its owner has committed it, to be copied and not written into."""
    made: dict[str, Owned] = {}

    def rendered(version: str, **answers: object) -> Owned:
        key = json.dumps([version, answers], sort_keys=True)
        if key not in made:
            made[key] = Owned.rendered(history.folder, version, tmp_path_factory.mktemp("of") / "project", **answers)
        return made[key]

    return rendered


@pytest.fixture
def project(history: History, rendered: Rendered, tmp_path: Path) -> Owned:
    """A default project of the version to come, in a repository, for one test to write into."""
    return rendered(history.next).copy(tmp_path / "project")


@pytest.fixture
def later(history: History, tmp_path: Path, project: Owned) -> Later:
    """`later({path: content})`: a later version of the template, which `project` can be updated to."""

    def later(changes: dict[str, str | None], *carrying: Sequence[str]) -> History:
        evolved = history.evolve(tmp_path / "later", changes, carrying=carrying)
        project.replace(".copier-answers.yml", f"_src_path: {history.folder}", f"_src_path: {evolved.folder}")
        project.commit("The template has moved")
        return evolved

    return later
