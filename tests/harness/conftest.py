"""A project to try the harness in."""

from pathlib import Path

import pytest

from tests.environment import Project, synced
from tests.harness.sample import ANSWERS, Sample
from tests.rendering import Render


@pytest.fixture(scope="session")
def sample_project(render: Render, environments: Path, default_python: Path) -> Project:
    """The sample, rendered and installed, once per worker."""
    folder = render.copy(environments / "sample", **ANSWERS)
    return synced(folder, environments / "sample-environment", default_python)


@pytest.fixture
def sample(sample_project: Project, tmp_path: Path) -> Sample:
    """The sample without its own tests, for one test to write into."""
    return Sample.of(sample_project, tmp_path / "sample")
