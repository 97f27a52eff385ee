"""A project to try the harness in."""

import tempfile
from collections.abc import Iterator
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


@pytest.fixture
def readable() -> Iterator[Path]:
    """A folder that the server's own user may read, if these tests run as root; pytest's are for root alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
