"""Nothing outlives a run: no process, no folder, however pytest ends."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from harness.postgres.run_folder import RunFolder

from tests.harness.sample import Sample

WAITING = """
import time
from pathlib import Path
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from tests.harness.postgres.server import Server

async def test_that_waits(db_session: AsyncSession, postgres_server: Server) -> None:
    await db_session.execute(text("SELECT 1"))
    Path("folder.partial").write_text(str(Path(postgres_server.host).parent))
    Path("folder.partial").rename("folder")
    while True:
        time.sleep(0.1)
"""

# Generous, since nothing of it is waited for when all is well: 0.1 s was measured.
DEADLINE = 60


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_nothing_outlives_pytest(sample: Sample, how: str, workers: str) -> None:
    sample.write("tests/test_a.py", WAITING)
    pytest_run = subprocess.Popen(
        sample.command("-n", workers),
        cwd=sample.folder,
        env=sample.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A process group of its own: Ctrl-C goes to all of it, as in a terminal.
        start_new_session=True,
    )
    try:
        until(lambda: (sample.folder / "folder").exists() or pytest_run.poll() is not None)
        folder = Path((sample.folder / "folder").read_text())
        server = int((folder / "data" / "postmaster.pid").read_text().split()[0])
        assert is_running(server)

        if how == "SIGINT":
            os.killpg(pytest_run.pid, signal.SIGINT)
        else:
            pytest_run.send_signal(getattr(signal, how))
        pytest_run.wait(DEADLINE)

        until(lambda: not folder.exists() and not is_running(server))
    finally:
        pytest_run.kill()
        pytest_run.wait()


def test_a_run_that_passes_leaves_nothing(sample: Sample) -> None:
    sample.write("tests/test_a.py", WAITING.partition("    while")[0])

    outcome = sample.pytest()

    assert "1 passed" in outcome.output, outcome.output
    folder = Path((sample.folder / "folder").read_text())
    assert f"data in {folder}" in outcome.output
    assert not folder.exists()


def test_a_forked_child_has_no_part_in_the_folder() -> None:
    """Else the folder would be locked, and its server would run, as long as the child lives."""
    folder, (read, write) = RunFolder.make(), os.pipe()
    assert folder._alive is not None
    files = [folder._alive, folder._lock]
    if os.fork() == 0:
        for file in files:
            with suppress(OSError):
                os.fstat(file or 0)
                os.write(write, b"open ")
        os._exit(0)
    os.wait()
    os.close(write)

    assert os.read(read, 100) == b""
    os.fstat(files[0] or 0)
    os.close(read)
    folder.close()
    assert not folder.path.exists()


def test_a_folder_that_a_dead_run_left_is_swept_and_a_living_ones_is_not() -> None:
    living, dead = RunFolder.make(), RunFolder.make()
    # As after `kill -9` of everything that belonged to it.
    dead._leave()

    swept = RunFolder.make()

    try:
        assert not dead.path.exists()
        assert living.path.exists()
    finally:
        living.close()
        swept.close()


def is_running(pid: int) -> bool:
    """Whether there is such a process, one that is dead and not yet waited for left out."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(is_true: object) -> None:
    """Wait for something; fails if it does not come."""
    assert callable(is_true)
    deadline = time.monotonic() + DEADLINE
    while not is_true():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
