"""A migration that hangs: the time limit ends the run with a message, and Ctrl-C ends it, also pressed twice."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.harness.sample import Sample
from tests.harness.test_end_of_run import DEADLINE, is_running, until

TEST = """
import pytest
from httpx import AsyncClient

@pytest.mark.parametrize("number", range(3))
async def test_sign_up(client: AsyncClient, number: int) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201
"""
HANGS = """def upgrade() -> None:
    from pathlib import Path
    import time
    data = op.get_bind().exec_driver_sql("SHOW data_directory").scalar()
    Path("data.partial").write_text(data)
    Path("data.partial").rename("data")
    %s
"""
WAYS = {
    "in a statement": 'op.execute("SELECT pg_sleep(600)")',
    "in Python": "time.sleep(600)",
}


@pytest.fixture(params=WAYS)
def hanging(sample: Sample, request: pytest.FixtureRequest) -> Sample:
    """A sample whose migration hangs."""
    sample.write("tests/test_a.py", TEST)
    revision = min((sample.folder / "migrations" / "versions").glob("*.py"))
    revision.write_text(revision.read_text().replace("def upgrade() -> None:\n", HANGS % WAYS[request.param]))
    return sample


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c(hanging: Sample, workers: str, times: int) -> None:
    run = subprocess.Popen(
        hanging.command("-n", workers, "--create-db"),
        cwd=hanging.folder,
        env=hanging.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A process group of its own: Ctrl-C goes to all of it, as in a terminal.
        start_new_session=True,
    )
    try:
        until(lambda: (hanging.folder / "data").exists() or run.poll() is not None)
        data = Path((hanging.folder / "data").read_text())
        server = int((data / "postmaster.pid").read_text().split()[0])

        for _ in range(times):
            os.killpg(run.pid, signal.SIGINT)
        output, _ = run.communicate(timeout=DEADLINE)

        assert run.returncode in (2, -signal.SIGINT), output
        until(lambda: not data.parent.exists() and not is_running(server))
        assert "KeyboardInterrupt" in output, output
    finally:
        run.kill()
        run.wait()


def test_the_time_limit(hanging: Sample) -> None:
    project = (hanging.folder / "pyproject.toml").read_text()
    setting = "[tool.savepoint]\ntest_timeout_seconds = 0.3\n"
    hanging.write("pyproject.toml", project.replace("[tool.savepoint]\n", setting))

    outcome = hanging.pytest_from_start("--create-db")

    data = Path((hanging.folder / "data").read_text())
    assert outcome.error.startswith("migrations: "), outcome.output
    assert "the migrations have not ended: setup of test_sign_up[" in outcome.error
    assert "] timed out after 3 s." in outcome.error
    assert outcome.output.count("timed out") == 1
    assert not data.parent.exists()
