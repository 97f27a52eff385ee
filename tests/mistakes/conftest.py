"""Projects to make mistakes in: rendered and installed once per worker and set of answers."""

import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from tests.environment import Project, synced
from tests.mistakes.catalogue import Change
from tests.mistakes.project import Changed
from tests.rendering import Render

MakeChanged = Callable[[dict[str, object], Sequence[Change]], Changed]


@pytest.fixture(scope="session")
def variants(render: Render, environments: Path, default_python: Path) -> Callable[[dict[str, object]], Project]:
    """`variants({"auth": False})`: the project of these answers, in an environment of its own."""
    made: dict[str, Project] = {}

    def variant(answers: dict[str, object]) -> Project:
        key = sha256(json.dumps(answers, sort_keys=True).encode()).hexdigest()[:8]
        if key not in made:
            folder = render.copy(environments / f"mistakes-{key}", package_name="shop", **answers)
            made[key] = synced(folder, environments / f"mistakes-{key}-environment", default_python)
        return made[key]

    return variant


@pytest.fixture
def changed(variants: Callable[[dict[str, object]], Project], tmp_path: Path) -> MakeChanged:
    """`changed(answers, changes)`: a copy of that project with these changes."""
    return lambda answers, changes: Changed.of(variants(answers), tmp_path / "shop", changes)
