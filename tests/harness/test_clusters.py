"""Unchanged migrations do not run again: a stopped cluster with the migrated schema is cached."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from harness.postgres import binaries
from harness.postgres.clusters import FORMAT, MAX_ENTRIES, ClusterCache, Schema

from tests.environment import env_of_copy
from tests.harness.sample import Outcome, Sample

TESTS = """
import pytest
from httpx import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

@pytest.mark.parametrize("number", range(4))
async def test_sign_up(client: AsyncClient, number: int) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).json()["id"] >= 1

@pytest.mark.own_database
async def test_role(db_session: AsyncSession) -> None:
    # A role belongs to the whole cluster, and must not be visible in the next run.
    assert await db_session.scalar(text("SELECT count(*) FROM pg_roles WHERE rolname = 'of_a_test'")) == 0
    await db_session.execute(text("CREATE ROLE of_a_test"))
    await db_session.commit()
"""


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The user's cache folder."""
    return tmp_path / "cache"


@pytest.fixture
def counting(sample: Sample) -> Sample:
    """A sample whose migration writes to a file each time it runs."""
    sample.write("tests/test_a.py", TESTS)
    path = revision(sample)
    counting = "def upgrade() -> None:\n    with open('upgrades', 'a') as file:\n        file.write('x')"
    path.write_text(path.read_text().replace("def upgrade() -> None:", counting))
    return sample


def revision(sample: Sample) -> Path:
    return min((sample.folder / "migrations" / "versions").glob("*.py"))


def run(sample: Sample, cache: Path, *arguments: str) -> Outcome:
    outcome = sample.pytest(*arguments, XDG_CACHE_HOME=str(cache))
    assert "5 passed" in outcome.output, outcome.output
    return outcome


def upgrades(sample: Sample) -> int:
    """How many times the migrations have run."""
    return len((sample.folder / "upgrades").read_text())


def entries(cache: Path) -> list[Path]:
    return [path for path in (cache / "savepoint" / "clusters").iterdir() if path.is_dir()]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_second_run_uses_the_cache(counting: Sample, cache: Path, workers: str) -> None:
    for _ in range(2):
        run(counting, cache, "-n", workers)

    assert upgrades(counting) == 1
    assert len(entries(cache)) == 1


def test_another_checkout_uses_the_cache(counting: Sample, cache: Path, tmp_path: Path) -> None:
    run(counting, cache)
    other = Sample(tmp_path / "other", env_of_copy(counting, tmp_path / "other"))
    shutil.copytree(counting.folder, other.folder)

    run(other, cache)

    assert upgrades(other) == 1


@pytest.mark.parametrize("change", ["a revision", "a module that a revision imports", "--create-db"])
def test_a_relevant_change_runs_migrations_again(counting: Sample, cache: Path, change: str) -> None:
    path = revision(counting)
    counting.write("src/sample/constants.py", "LENGTH = 254\n")
    path.write_text(
        path.read_text().replace("import sqlalchemy as sa", "import sqlalchemy as sa\nimport sample.constants")
    )
    run(counting, cache)

    if change == "a revision":
        path.write_text(path.read_text() + "# changed\n")
    elif change.startswith("a module"):
        counting.write("src/sample/constants.py", "LENGTH = 255\n")
    run(counting, cache, *[change] * change.startswith("--"))

    assert upgrades(counting) == 2


def test_an_irrelevant_change_uses_the_cache(counting: Sample, cache: Path) -> None:
    run(counting, cache)
    counting.write("src/sample/unrelated.py", "A = 1\n")

    run(counting, cache)

    assert upgrades(counting) == 1


@pytest.mark.parametrize("damage", ["no control file", "an empty catalog", "a file instead", "a symlink"])
def test_a_damaged_entry_is_replaced(counting: Sample, cache: Path, damage: str) -> None:
    run(counting, cache)
    [entry] = entries(cache)
    if damage == "no control file":
        (entry / "global" / "pg_control").unlink()
    elif damage == "an empty catalog":
        shutil.rmtree(entry / "base")
    else:
        entry.rename(cache / "elsewhere")
        entry.symlink_to(cache / "elsewhere") if damage == "a symlink" else entry.write_text("")

    run(counting, cache)

    assert upgrades(counting) == 2


@pytest.mark.parametrize("wrong", ["a file in its place", "a symlink", "owned by another user", "writable for all"])
def test_a_run_works_without_a_usable_cache(counting: Sample, cache: Path, wrong: str) -> None:
    folder = cache / "savepoint" / "clusters"
    if wrong == "a file in its place":
        cache.write_text("")
    elif wrong == "a symlink":
        folder.parent.mkdir(parents=True)
        (cache / "elsewhere").mkdir()
        folder.symlink_to(cache / "elsewhere")
    else:
        folder.mkdir(parents=True)
        if wrong == "writable for all":
            folder.chmod(0o777)
        elif os.geteuid() == 0:
            os.chown(folder, 12345, 12345)
        else:
            pytest.skip("only root can give a folder away")

    for _ in range(2):
        run(counting, cache)

    assert upgrades(counting) == 2


def test_a_stale_lock_file_blocks_no_run(counting: Sample, cache: Path) -> None:
    folder = cache / "savepoint" / "clusters"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "lock").write_text("4711")

    for _ in range(2):
        run(counting, cache)

    assert upgrades(counting) == 1


def test_an_entry_with_another_format_is_not_used(counting: Sample, cache: Path) -> None:
    run(counting, cache)
    path = counting.folder / "tests" / "harness" / "postgres" / "clusters.py"
    path.write_text(path.read_text().replace(f"FORMAT = {FORMAT}\n", f"FORMAT = {FORMAT + 1}\n"))

    run(counting, cache)

    assert upgrades(counting) == 2


def test_concurrent_runs_do_not_interfere(counting: Sample, cache: Path) -> None:
    env = {**counting.env, "XDG_CACHE_HOME": str(cache)}
    for _ in range(2):
        runs = [
            subprocess.Popen(counting.command(), cwd=counting.folder, env=env, stdout=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        for each in runs:
            output, _ = each.communicate(timeout=300)
            assert "5 passed" in output, output

    assert len(entries(cache)) == 1
    assert upgrades(counting) <= 3


def test_old_incomplete_and_surplus_entries_are_removed(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    data = tmp_path / "data"
    data.mkdir()
    found = binaries.find(18)

    def write(digest: str) -> Path:
        clusters = ClusterCache(Schema(digest, lambda server: False, rebuild=False), found)
        clusters.write(data)
        return clusters.entry

    old, *others = [write(f"{number}") for number in range(MAX_ENTRIES)]
    for age, entry in enumerate(reversed(others)):
        os.utime(entry, (time.time() - age, time.time() - age))
    os.utime(old, (0, 0))
    (cache / "savepoint" / "clusters" / "writing-abc").mkdir()

    newest = [write("new"), write("newer")]

    assert set(entries(cache)) == {*newest, *others[2 - MAX_ENTRIES :]}
