"""Without a usable Docker engine, source "docker" adds one line to the error of the run."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.postgres import docker
from harness.postgres.server import NoServerError

from tests.harness.engines import empty, serving
from tests.harness.sample import Sample

TEST = """
from httpx import AsyncClient

async def test_health(client: AsyncClient) -> None:
    assert (await client.get("/health")).status_code == 200
"""


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[str]:
    """The address of an engine without images."""
    with serving(empty(tmp_path / "docker.sock")) as address:
        yield address


def test_no_engine(sample: Sample) -> None:
    sample.write("tests/test_a.py", TEST)

    outcome = sample.pytest("--postgres", "docker", DOCKER_HOST="unix:///nowhere/docker.sock")

    assert (
        "no PostgreSQL 18 server found. Tried:\n  Docker: no daemon at unix:///nowhere/docker.sock\n" in outcome.error
    )
    assert "ERROR" not in outcome.output


def test_an_engine_and_no_testcontainers(sample: Sample, listening: str) -> None:
    sample.write("tests/test_a.py", TEST)

    outcome = sample.pytest("--postgres", "docker", DOCKER_HOST=listening)

    reason = f"found a daemon at {listening}, but testcontainers is not installed"
    assert f"  Docker: {reason}. Run `uv run --group docker pytest`, or install testcontainers\n" in outcome.error


def test_an_engine_without_permission(listening: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", listening)
    Path(listening.removeprefix("unix://")).chmod(0)
    is_root = os.geteuid() == 0
    if is_root:
        # Root has every permission: change the user for a moment.
        os.seteuid(65534)
    try:
        with pytest.raises(
            NoServerError, match=r"^permission denied for unix://.*\. Add this user to the group `docker`$"
        ):
            docker._daemon()
    finally:
        if is_root:
            os.seteuid(0)


def test_an_engine_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts connections and does not answer."""
    monkeypatch.setattr(docker, "REQUEST_TIMEOUT", 0.1)
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(tmp_path / "docker.sock"))
        engine.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'docker.sock'}")

        with pytest.raises(NoServerError, match=r"^the daemon at unix://.* does not answer$"):
            docker._daemon()


def test_an_invalid_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "somewhere")

    with pytest.raises(
        NoServerError, match=r"^DOCKER_HOST=somewhere is not a valid address\. Example: unix:///var/run/docker.sock$"
    ):
        docker._daemon()
