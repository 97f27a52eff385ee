"""A missing image: its pull is announced, and an error of the pull is the only error of the run."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker_engine import IMAGE, MAJOR, docker
from tests.harness.engines import containers
from tests.harness.registry import Registry
from tests.harness.sample import Sample
from tests.harness.test_end_of_run import until

pytestmark = pytest.mark.xdist_group("docker")

PREFIX = "TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX"

TESTS = """
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

@pytest.mark.parametrize("number", range(4))
async def test_that_needs_a_database(db_session: AsyncSession, number: int) -> None: ...
"""


@pytest.fixture
def registry(engine: str, tmp_path: Path) -> Registry:
    """A registry with the image, not serving yet."""
    return Registry(engine, IMAGE, tmp_path)


@pytest.fixture
def prefix(engine: str, registry: Registry) -> Iterator[str]:
    """The prefix of its image names, while it serves; pulled images are removed afterwards."""
    with registry.serving() as prefix:
        yield prefix
    docker(engine, "image", "rm", prefix + IMAGE)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_pull_is_announced(
    in_docker: Sample, registry: Registry, prefix: str, workers: str, tmp_path: Path
) -> None:
    in_docker.write("tests/test_a.py", TESTS)
    output, seen = tmp_path / "output", []
    registry.is_asked = lambda: seen.append(output.read_text())

    with output.open("w") as file:
        command, env = in_docker.command("-n", workers), {**in_docker.env, PREFIX: prefix}
        subprocess.run(command, cwd=in_docker.folder, env=env, stdout=file, stderr=file, check=False)

    assert "4 passed" in output.read_text(), output.read_text()
    announcement = f"\npostgres: pulling {prefix}{IMAGE} (first run only)\n"
    assert seen[0].count(announcement) == output.read_text().count(announcement) == 1


@pytest.mark.parametrize("workers", ["0", "2"])
def test_no_registry(in_docker: Sample, engine: str, workers: str) -> None:
    in_docker.write("tests/test_a.py", TESTS)

    outcome = in_docker.pytest("-n", workers, **{PREFIX: "127.0.0.1:1/"})

    before, _, _ = outcome.output.partition("Test run aborted")
    assert f"\npostgres: pulling 127.0.0.1:1/{IMAGE} (first run only)\n" in before, outcome.output
    reason = f"  Docker: 127.0.0.1:1/{IMAGE} at {engine}: pull failed: "
    assert f"no PostgreSQL {MAJOR} server found. Tried:\n{reason}" in outcome.error
    assert "connection refused\n" in outcome.error
    assert len(outcome.error.splitlines()) == 6
    assert "ERROR" not in outcome.output
    assert "Traceback" not in outcome.output


def test_a_pull_that_fails_halfway(in_docker: Sample, engine: str, registry: Registry, prefix: str) -> None:
    absent = f"sha256:{'0' * 64}"
    registry.manifest = registry.manifest.replace(registry.config.encode(), absent.encode())
    in_docker.write("tests/test_a.py", TESTS)

    outcome = in_docker.pytest(**{PREFIX: prefix})

    assert f"  Docker: {prefix}{IMAGE} at {engine}: pull failed: " in outcome.error
    # The engine's message, which depends on its version; not that the image is missing afterwards.
    assert "blob" in outcome.error


def test_a_run_that_is_killed_during_the_pull(in_docker: Sample, engine: str, registry: Registry, prefix: str) -> None:
    in_docker.write("tests/test_a.py", TESTS)
    run = subprocess.Popen(
        in_docker.command(),
        cwd=in_docker.folder,
        env={**in_docker.env, PREFIX: prefix},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    # The engine continues the pull, for the next run.
    registry.is_asked = run.kill

    assert run.wait(60) != 0
    # Docker's client may have been about to start it; without the run, it ends.
    until(lambda: containers(engine) == [])
