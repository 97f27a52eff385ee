"""Source "docker" with a real engine: one container per run, on loopback, removed afterwards."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from harness.postgres import container

from tests.docker_engine import IMAGE, MAJOR, docker
from tests.harness.engines import containers
from tests.harness.sample import Sample
from tests.harness.test_end_of_run import DEADLINE, until

pytestmark = pytest.mark.xdist_group("docker")

RECORDING = """
import os
import subprocess
import time
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.harness.postgres.server import Server

@pytest.mark.parametrize("number", range(4))
async def test_record(db_session: AsyncSession, postgres_server: Server, number: int) -> None:
    assert (await db_session.execute(text("SHOW fsync"))).scalar() == "off"
    ps = ["docker", "ps", "--filter=name=savepoint-", "--format={{.Names}} {{.Ports}}"]
    Path(f"record-{number}").write_text(subprocess.check_output(ps, text=True))
    Path("port").write_text(str(postgres_server.port))
"""

WAITING = f"{RECORDING}    while True:\n        time.sleep(0.1)\n"


def test_an_image_of_the_setting(in_docker: Sample, engine: str) -> None:
    image = f"savepoint.test/postgres:{MAJOR}-more"
    docker(engine, "tag", IMAGE, image)
    try:
        in_docker.write("tests/test_a.py", RECORDING)
        project = (in_docker.folder / "pyproject.toml").read_text()
        setting = f'[tool.savepoint]\npostgres_image = "{image}"\n'
        in_docker.write("pyproject.toml", project.replace("[tool.savepoint]\n", setting))

        outcome = in_docker.pytest()
    finally:
        docker(engine, "rmi", image)

    assert "4 passed" in outcome.output, outcome.output
    assert f"from {image}" in outcome.output


@pytest.mark.parametrize("workers", ["0", "2"])
def test_one_container_per_run_on_loopback(in_docker: Sample, workers: str) -> None:
    in_docker.write("tests/test_a.py", RECORDING)

    outcome = in_docker.pytest("-n", workers)

    assert "4 passed" in outcome.output, outcome.output
    assert f"postgres: {MAJOR}." in outcome.output
    assert f"from postgres:{MAJOR}" in outcome.output
    assert "pulling" not in outcome.output
    port = (in_docker.folder / "port").read_text()
    for path in in_docker.folder.glob("record-*"):
        [only] = path.read_text().splitlines()
        assert only.endswith(f" 127.0.0.1:{port}->5432/tcp")


def test_the_first_address_that_answers_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    loopback, bridge = ("localhost", 32768), ("172.17.0.2", 5432)
    # The server starts after the first address was tried, and before the second.
    answers = iter([None, {"port": 5432}, {"port": 32768}])
    monkeypatch.setattr(container, "_addresses", lambda of: iter([loopback, bridge]))
    monkeypatch.setattr(container, "_answer", lambda address, password: next(answers))

    assert container._wait(None, "") == {"port": 32768}


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "SIGKILL"])
@pytest.mark.parametrize("when", ["while it starts", "in a test"])
def test_the_container_is_removed_at_the_end_of_the_run(in_docker: Sample, engine: str, how: str, when: str) -> None:
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


@pytest.mark.parametrize("run_is", ["passed", "killed"])
def test_the_container_of_a_killed_supervisor_is_removed(in_docker: Sample, engine: str, run_is: str) -> None:
    """At the end of the run; if the run was killed too, by the next run."""
    kill = "    os.kill(int((folder / 'supervised').read_text()), 9)\n"
    if run_is == "killed":
        kill += "    os.kill(os.getpid(), 9)\n"
    find = "    from tests.harness.database.server import run_folder\n    folder = run_folder(pytestconfig).path\n"
    text = RECORDING.replace("range(4)", "[0]").replace("number: int", "number: int, pytestconfig: pytest.Config")
    in_docker.write("tests/test_a.py", text + find + kill)

    outcome = in_docker.pytest_from_start()

    assert ("1 passed" in outcome.output) == (run_is == "passed"), outcome.output
    if run_is == "killed":
        assert len(containers(engine)) == 1
        in_docker.write("tests/test_a.py", RECORDING)
        assert "4 passed" in in_docker.pytest().output
    assert containers(engine) == []


def test_a_container_that_exits(in_docker: Sample, engine: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f'FROM {IMAGE}\nENTRYPOINT ["sh", "-c", "echo no room; exit 1"]\n')
    assert docker(engine, "build", "--tag=ending/postgres:98", str(tmp_path)).returncode == 0
    in_docker.write("tests/test_a.py", RECORDING)

    prefix = {"TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX": "ending/"}
    outcome = in_docker.pytest("-o", "savepoint_postgres_version=98", **prefix)
    docker(engine, "image", "rm", "ending/postgres:98")

    assert ": the server in the container does not answer; last log line: no room\n" in outcome.error
    assert len(outcome.error.splitlines()) == 6


def test_a_container_that_is_killed_during_a_test(in_docker: Sample) -> None:
    kill = '    subprocess.run(["docker", "kill", Path(f"record-{number}").read_text().split()[0]], check=True)\n'
    more = "    await db_session.execute(text('SELECT 1'))\n"
    in_docker.write("tests/test_a.py", RECORDING + kill + more)

    outcome = in_docker.pytest()

    assert outcome.output.count("FAILED ") == 1, outcome.output
    assert "postgres: the server has stopped: " in outcome.error
