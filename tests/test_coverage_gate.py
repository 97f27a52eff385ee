"""The coverage gate: below the threshold `pytest --cov` fails, above it passes; a plain `pytest` does not ask."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.environment import UV, Project, synced
from tests.rendering import Render

pytestmark = pytest.mark.xdist_group("coverage")

Gated = Callable[[int], Project]

UNTESTED = "def untested(number: int) -> int:\n    if number:\n        return 1\n    return 2\n"


@pytest.fixture
def gated(render: Render, environment: Path, default_python: Path, tmp_path: Path) -> Gated:
    """A project with this threshold, and a module that no test runs."""

    def gated(threshold: int) -> Project:
        folder = render.copy(tmp_path / f"at-{threshold}", coverage_threshold=str(threshold))
        (folder / "src" / "my_service" / "untested.py").write_text(UNTESTED)
        return synced(folder, environment, default_python)

    return gated


def test_the_gate(gated: Gated) -> None:
    below = gated(100).run(UV, "run", "pytest", "--cov")

    total = re.search(r"Required test coverage of 100.0% not reached. Total coverage: (\d+)", below.stdout)
    assert below.returncode != 0
    assert total, below.stdout
    assert re.search(r"^=+ \d+ passed in ", below.stdout, re.M), below.stdout

    above = gated(int(total[1])).check(UV, "run", "pytest", "--cov")
    assert f"Required test coverage of {total[1]}.0% reached" in above


def test_a_plain_run_does_not_ask(gated: Gated) -> None:
    output = gated(100).check(UV, "run", "pytest")

    assert "coverage" not in output.lower()
