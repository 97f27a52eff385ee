"""A project to try the harness in."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REQUIRED
from tests.docker_engine import MAJOR, answers, lacks_image
from tests.environment import UV, Project, synced
from tests.harness.engines import containers
from tests.harness.sample import ANSWERS, Sample
from tests.harness.test_end_of_run import until
from tests.rendering import Render, locked


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


@pytest.fixture(scope="session")
def engine() -> str:
    """What DOCKER_HOST is to be: an engine that has PostgreSQL's image, or can get it."""
    hosts = [os.environ.get("SAVEPOINT_DOCKER"), os.environ.get("DOCKER_HOST"), "unix:///var/run/docker.sock"]
    host = next((host for host in hosts if host and answers(host)), None)
    lack = (
        lacks_image(host) if host else "no Docker engine answers; root can have one by python3 -m tests.docker_engine"
    )
    if host and not lack:
        return host
    if "docker" in REQUIRED:
        pytest.fail(f"{lack}")
    pytest.skip(f"{lack}")


@pytest.fixture(scope="session")
def docker_project(sample_project: Project, environments: Path, default_python: Path) -> Project:
    """The sample, in an environment with the dependency group `docker`."""
    project = synced(sample_project.folder, environments / "docker-environment", default_python)
    project.check(UV, "sync", "--group", "docker")
    return project


@pytest.fixture
def in_docker(engine: str, docker_project: Project, tmp_path: Path, shared: Path) -> Iterator[Sample]:
    """The sample, to be run in Docker while no other test does; fails if a container is left."""
    sample = Sample.of(docker_project, tmp_path / "sample")
    options = f"--postgres=docker -o savepoint_postgres_version={MAJOR}"
    # A group of tests is one worker's as pytest-xdist is told to distribute them, and need not be by another --dist.
    with locked(shared, "docker"):
        yield Sample(sample.folder, {**sample.env, "DOCKER_HOST": engine, "PYTEST_ADDOPTS": options})
        until(lambda: containers(engine) == [])
