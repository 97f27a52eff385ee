"""A project keeps installing: on the oldest of what it says it can do with, and on the newest that there is.

The variants are installed without a lock, and so are the newest. This is the other end.
"""

from pathlib import Path

import pytest

from tests.environment import UV, synced
from tests.rendering import Render

pytestmark = pytest.mark.xdist_group("resolutions")


def test_lower_bounds(render: Render, environments: Path, default_python: Path, tmp_path: Path) -> None:
    project = synced(
        render.copy(tmp_path / "project"), environments / "lowest", default_python, UV_RESOLUTION="lowest-direct"
    )

    assert 'resolution-mode = "lowest-direct"' in (project.folder / "uv.lock").read_text()
    project.check(UV, "run", "pytest")
    project.check(UV, "run", "mypy")
    project.check(UV, "run", "ruff", "check")
