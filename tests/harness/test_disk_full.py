"""A disk that is full, before the tests or while they run, is one line that names it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.sample import Outcome, Sample

OnASmallDisk = Callable[..., Outcome]

FILLING = """
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

@pytest.mark.parametrize("number", range(200))
async def test_that_writes(db_session: AsyncSession, number: int) -> None:
    if number == 100:
        rows = "SELECT repeat(md5(i::text), 20) AS text FROM generate_series(1, 500000) AS i"
        await db_session.execute(text(f"CREATE TABLE big AS {rows}"))
    await db_session.execute(text("SELECT 1"))
"""

MOUNTS = (
    "mount -t tmpfs -o size=20m none /dev/shm && mount -t tmpfs -o size={size} none {folder} && "
    'TMPDIR={folder} "$@"; code=$?; ls -A {folder} > {folder}.left; exit $code'
)


@pytest.fixture
def disk() -> Iterator[Path]:
    """Where it is; a short path, since a Unix socket has to lie there."""
    with tempfile.TemporaryDirectory(prefix="disk-", dir="/tmp") as folder:
        # PostgreSQL runs as another user there.
        Path(folder).chmod(0o755)
        yield Path(folder, "small")


@pytest.fixture
def on_a_small_disk(sample: Sample, disk: Path) -> OnASmallDisk:
    """`on_a_small_disk("20m")`: a run that has no other place, and leaves nothing there."""
    unshare = shutil.which("unshare")
    if os.geteuid() != 0 or unshare is None:
        pytest.skip("only root can mount a small disk")

    def run(size: str, *arguments: str) -> Outcome:
        disk.mkdir()
        command = [unshare, "--mount", "sh", "-c", MOUNTS.format(size=size, folder=disk), "sh"]
        done = subprocess.run(
            [*command, *sample.command("--basetemp", str(sample.folder / "basetemp"), *arguments)],
            cwd=sample.folder,
            env={**sample.env, "XDG_CACHE_HOME": str(sample.folder / "cache")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        assert disk.with_name("small.left").read_text() == ""
        return Outcome(done.returncode, done.stdout)

    return run


@pytest.mark.parametrize("workers", ["0", "2"])
def test_too_small_for_a_server(sample: Sample, disk: Path, on_a_small_disk: OnASmallDisk, workers: str) -> None:
    sample.write("tests/test_a.py", FILLING)

    outcome = on_a_small_disk("20m", "--postgres=local", "-n", workers)

    assert outcome.code != 0
    said = f"{disk} has 21 MB free, and a server takes 80 at least; TMPDIR may name a folder with more"
    assert f"  local binaries: {said}\n" in outcome.error
    assert "ERROR" not in outcome.output, outcome.output


def test_filled_by_a_test(sample: Sample, disk: Path, on_a_small_disk: OnASmallDisk) -> None:
    sample.write("tests/test_a.py", FILLING)

    outcome = on_a_small_disk("170m", "--postgres=local", "-p", "no:randomly")

    assert "1 failed, 100 passed" in outcome.output, outcome.output
    assert f"postgres: no space is left in {disk} for the databases of the tests" in outcome.error
