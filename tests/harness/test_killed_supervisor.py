"""The supervisor is killed, or the run's folder is removed: the run ends at once, and leaves nothing."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from harness.postgres import leftovers, local, run_folder
from harness.postgres.run_folder import RunFolder
from harness.postgres.server import NoServerError

from tests.harness.sample import Sample
from tests.harness.test_end_of_run import is_running, until

TESTS = """
import os
import shutil
import signal
from pathlib import Path

import pytest
from httpx import AsyncClient

from tests.harness.postgres.server import Server

@pytest.mark.parametrize("number", range(40))
async def test_sign_up(client: AsyncClient, postgres_server: Server, number: int) -> None:
    folder = Path(postgres_server.host).parent
    if number == 20:
        Path("folder").write_text(str(folder))
        Path("server").write_text((folder / "data" / "postmaster.pid").read_text().split()[0])
        {fault}
    assert (await client.post("/users", json={{"email": "ada@example.com"}})).status_code == 201
"""
KILLED = 'os.kill(int((folder / "supervised").read_text()), signal.SIGKILL)'
REMOVED = "shutil.rmtree(folder); raise LookupError"


@pytest.fixture
def folder() -> Iterator[RunFolder]:
    """A run's folder with a server whose supervisor was killed."""
    folder = RunFolder.make()
    local.start(folder, 18)
    assert folder._supervisor is not None
    folder._supervisor.kill()
    folder._supervisor.wait()
    yield folder
    leftovers.end(folder.path)


def server_of(folder: RunFolder) -> int:
    return int((folder.path / "data" / "postmaster.pid").read_text().split()[0])


def test_the_end_of_the_run_does_not_wait_for_a_dead_supervisor(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = server_of(folder)

    def sleep(seconds: float) -> NoReturn:
        raise AssertionError("the run waits")

    with monkeypatch.context() as context:
        context.setattr(run_folder, "time", type("time", (), {"sleep": sleep, "monotonic": lambda: 0.0}))
        folder.close()

    assert not folder.path.exists()
    assert not is_running(server)


def test_the_next_run_ends_the_server_of_a_run_that_was_killed_with_its_supervisor(folder: RunFolder) -> None:
    server = server_of(folder)
    folder._leave()

    RunFolder.make().close()

    assert not folder.path.exists()
    assert not is_running(server)


def test_data_of_a_server_that_was_not_shut_down_is_not_used(folder: RunFolder) -> None:
    server = server_of(folder)

    with pytest.raises(NoServerError, match="supervisor, which the run had started, was killed"):
        folder.halt()

    assert not is_running(server)
    folder.close()


def test_what_a_supervisor_was_not_there_to_read_does_not_end_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server has crashed, and its supervisor ends, in the moment in which the run asks it for a shutdown."""
    folder = RunFolder.make()
    try:
        local.start(folder, 18)
        os.kill(server_of(folder), signal.SIGKILL)
        assert folder._supervisor is not None
        folder._supervisor.wait()
        with monkeypatch.context() as context:
            context.setattr(leftovers, "is_supervised", lambda path: True)
            folder.halt()

        assert local.start(folder, 18).major == 18
    finally:
        folder.close()


def test_a_command_that_prepares_the_server_is_ended() -> None:
    folder = RunFolder.make()
    plan = {
        "prepare": [sys.executable, "-c", "import time; open('began', 'w').close(); time.sleep(600)"],
        "serve": None,
        "cleanup": None,
        "user": None,
        "env": dict(os.environ),
        "wait": 600,
    }
    answers: list[str | None] = []
    thread = threading.Thread(target=lambda: answers.append(folder.supervise(plan)))
    thread.start()
    until((folder.path / "began").exists)
    prepare = int((folder.path / "processes").read_text())

    os.kill(int((folder.path / "supervised").read_text()), signal.SIGKILL)
    thread.join()
    folder.close()

    assert answers == ["the server's supervisor ended without output"]
    assert not is_running(prepare)
    assert not folder.path.exists()


def test_a_process_of_another_folder_is_not_ended(tmp_path: Path) -> None:
    """The PID of a process that has ended may be that of another process later."""
    (tmp_path / "folder").mkdir()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, cwd=tmp_path) as other:
        (tmp_path / "folder" / "processes").write_text(f"{other.pid}\n")

        leftovers.end(tmp_path / "folder")

        assert other.poll() is None
        other.communicate(b"\n")


@pytest.mark.parametrize("workers", ["0", "2"])
def test_tests_do_not_depend_on_the_supervisor(sample: Sample, workers: str) -> None:
    sample.write("tests/test_a.py", TESTS.format(fault=KILLED))

    outcome = sample.pytest("-n", workers)

    assert "40 passed" in outcome.output, outcome.output
    assert not Path((sample.folder / "folder").read_text()).exists()
    assert not is_running(int((sample.folder / "server").read_text()))


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_removed_folder_is_reported(sample: Sample, workers: str) -> None:
    sample.write("tests/test_a.py", TESTS.format(fault=REMOVED))

    outcome = sample.pytest("-n", workers)

    folder = (sample.folder / "folder").read_text()
    [line] = [line for line in outcome.error.splitlines() if line.startswith("postgres: ")]
    assert line.startswith(f"postgres: the folder of this run was removed during the run: {folder}.")
    assert "INTERNALERROR" not in outcome.output
    server = int((sample.folder / "server").read_text())
    until(lambda: not is_running(server))


KILLED_IN_MIGRATION = """def upgrade() -> None:
    import os
    import signal
    from pathlib import Path
    folder = Path(op.get_bind().exec_driver_sql("SHOW data_directory").scalar()).parent
    Path("server").write_text((folder / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(int((folder / "supervised").read_text()), signal.SIGKILL)
"""


def test_a_supervisor_that_is_killed_during_the_migrations_ends_the_run_with_a_message(sample: Sample) -> None:
    sample.write("tests/test_a.py", TESTS.format(fault="pass"))
    revision = min((sample.folder / "migrations" / "versions").glob("*.py"))
    revision.write_text(revision.read_text().replace("def upgrade() -> None:\n", KILLED_IN_MIGRATION))

    outcome = sample.pytest("--create-db")

    assert "the server's supervisor, which the run had started, was killed" in outcome.error, outcome.output
    assert not is_running(int((sample.folder / "server").read_text()))
