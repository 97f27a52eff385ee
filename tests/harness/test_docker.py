"""The Docker rung, against a real engine: one container a run, on loopback, and gone afterwards."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REQUIRED
from tests.docker_engine import MAJOR, answers, docker
from tests.environment import UV, Project, synced
from tests.harness.sample import Sample
from tests.harness.test_end_of_run import DEADLINE, until
from tests.rendering import Render

pytestmark = pytest.mark.xdist_group("docker")

TELLING = """
import os
import subprocess
import time
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.harness.postgres.server import Server

@pytest.mark.parametrize("number", range(4))
async def test_that_tells(db_session: AsyncSession, postgres: Server, number: int) -> None:
    assert (await db_session.execute(text("SHOW fsync"))).scalar() == "off"
    ps = ["docker", "ps", "--filter=name=savepoint-", "--format={{.Names}} {{.Ports}}"]
    Path(f"told-{number}").write_text(subprocess.check_output(ps, text=True))
    Path("port").write_text(str(postgres.port))
"""

WAITING = f"{TELLING}    while True:\n        time.sleep(0.1)\n"


@pytest.fixture(scope="session")
def engine() -> str:
    """What DOCKER_HOST is to be: an engine that has PostgreSQL's image, or can get it."""
    hosts = [os.environ.get("SAVEPOINT_DOCKER"), os.environ.get("DOCKER_HOST"), "unix:///var/run/docker.sock"]
    for host in filter(None, hosts):
        if answers(host):
            return host
    message = "no Docker engine answers: python3 -m tests.docker_engine start"
    if "docker" in REQUIRED:
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def docker_project(sample_project: Project, render: Render, environments: Path, default_python: Path) -> Project:
    """The sample, in an environment with the dependency group `docker`."""
    project = synced(sample_project.folder, environments / "docker-environment", default_python)
    project.check(UV, "sync", "--group", "docker")
    return project


@pytest.fixture
def in_docker(docker_project: Project, engine: str, tmp_path: Path) -> Iterator[Sample]:
    """The sample, to be run in Docker; fails if a container is left."""
    sample = Sample.of(docker_project, tmp_path / "sample")
    options = f'addopts = ["--postgres=docker", "-p", "no:asyncio"]\npostgres_version = "{MAJOR}"\n'
    pyproject = (sample.folder / "pyproject.toml").read_text()
    _, _, rest = pyproject.partition("[tool.pytest.ini_options]\n")
    kept = [line for line in rest.splitlines() if line.startswith(("anyio_mode", "pythonpath", "testpaths"))]
    sample.write("pyproject.toml", "[tool.pytest.ini_options]\n" + options + "\n".join(kept) + "\n")
    yield Sample(sample.folder, sample.python, {**sample.env, "DOCKER_HOST": engine})
    until(lambda: containers(engine) == [])


def containers(engine: str) -> list[str]:
    """Containers of the harness's, running or not."""
    listed = docker(engine, "ps", "--all", "--filter=name=savepoint-", "--format={{.Names}}")
    assert listed.returncode == 0, listed.stderr
    return listed.stdout.split()


@pytest.mark.parametrize("workers", ["0", "2"])
def test_one_container_a_run_on_loopback(in_docker: Sample, workers: str) -> None:
    in_docker.write("tests/test_a.py", TELLING)

    outcome = in_docker.pytest("-n", workers)

    assert "4 passed" in outcome.output, outcome.output
    assert f"postgres: {MAJOR}." in outcome.output
    assert f"from postgres:{MAJOR}" in outcome.output
    port = (in_docker.folder / "port").read_text()
    for path in in_docker.folder.glob("told-*"):
        [container] = path.read_text().splitlines()
        assert container.endswith(f" 127.0.0.1:{port}->5432/tcp")


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "SIGKILL"])
@pytest.mark.parametrize("when", ["while it starts", "in a test"])
def test_it_goes_with_the_run(in_docker: Sample, engine: str, how: str, when: str) -> None:
    in_docker.write("tests/test_a.py", WAITING)
    run = subprocess.Popen(
        in_docker.command(),
        cwd=in_docker.folder,
        env=in_docker.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A process group of its own: Ctrl-C goes to all of it, as in a terminal.
        start_new_session=True,
    )
    try:
        if when == "in a test":
            until(lambda: (in_docker.folder / "port").exists() or run.poll() is not None)
        until(lambda: containers(engine) or run.poll() is not None)
        assert run.poll() is None

        os.killpg(run.pid, signal.SIGINT) if how == "SIGINT" else run.send_signal(getattr(signal, how))
        run.wait(DEADLINE)
    finally:
        run.kill()
        run.wait()


def test_an_image_that_is_not_there_is_announced(in_docker: Sample) -> None:
    """Before it is pulled; and if it cannot be, that is the one error."""
    in_docker.write("tests/test_a.py", TELLING)

    outcome = in_docker.pytest("-o", "postgres_version=99")

    before, _, _ = outcome.output.partition("the run cannot go on")
    assert "\npostgres: pulling postgres:99, this once\n" in before, outcome.output
    assert "no server of PostgreSQL 99. Tried:\n  Docker: postgres:99 at unix://" in outcome.error
    assert "ERROR" not in outcome.output
    assert "Traceback" not in outcome.output


def test_a_container_that_is_removed_under_a_test(in_docker: Sample) -> None:
    kill = '    subprocess.run(["docker", "kill", Path(f"told-{number}").read_text().split()[0]], check=True)\n'
    more = "    await db_session.execute(text('SELECT 1'))\n"
    in_docker.write("tests/test_a.py", TELLING + kill + more)

    outcome = in_docker.pytest()

    assert outcome.output.count("FAILED ") == 1, outcome.output
    assert "postgres: the server is gone: " in outcome.error
