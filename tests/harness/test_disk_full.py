"""A full disk, before or during the tests, is reported in one line."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.namespace import run_apart
from tests.harness.sample import Outcome, Sample

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

# Too little room in /dev/shm, and a small disk.
MOUNTS = """
mount -t tmpfs -o size=20m none /dev/shm && mount -t tmpfs -o size={size} none {disk} || exit 99
TMPDIR={disk} "$@"; code=$?
ls -A {disk} > {disk}.left
exit $code
"""


@pytest.fixture
def disk() -> Iterator[Path]:
    """The mount point; a short path, since it must hold a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="disk-", dir="/tmp") as folder:
        # PostgreSQL runs as another user.
        Path(folder).chmod(0o755)
        yield Path(folder, "small")


def run(sample: Sample, disk: Path, size: str, *arguments: str) -> Outcome:
    """A run that can use only this disk; asserts that it leaves nothing there."""
    sample.write("tests/test_a.py", FILLING)
    disk.mkdir()
    outcome = run_apart(
        sample,
        MOUNTS.format(size=size, disk=disk),
        f"--basetemp={sample.folder / 'basetemp'}",
        "--postgres=local",
        *arguments,
        XDG_CACHE_HOME=str(sample.folder / "cache"),
    )
    assert disk.with_name("small.left").read_text() == ""
    return outcome


@pytest.mark.parametrize("workers", ["0", "2"])
def test_too_little_space_for_a_server(sample: Sample, disk: Path, workers: str) -> None:
    outcome = run(sample, disk, "20m", "-n", workers)

    assert outcome.code == 1 if workers == "0" else outcome.code != 0
    reason = f"{disk} has 21 MB free, and a server needs at least 80 MB. Set TMPDIR to a folder with more space"
    assert f"  local binaries: {reason}\n" in outcome.error
    assert "ERROR" not in outcome.output, outcome.output


def test_a_disk_filled_by_a_test(sample: Sample, disk: Path) -> None:
    outcome = run(sample, disk, "170m", "-p", "no:randomly")

    assert "1 failed, 100 passed" in outcome.output, outcome.output
    assert f"postgres: no space left in {disk} for the test databases" in outcome.error
