"""Unchanged migrations do not run again: a stopped cluster with the migrated schema is cached."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from harness.postgres import binaries
from harness.postgres.clusters import FORMAT, MAX_ENTRIES, ClusterCache
from harness.postgres.schema import Schema

from tests.environment import env_of_copy
from tests.harness.sample import Outcome, Sample

NUMBER = """
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

async def test_number(db_session: AsyncSession) -> None:
    assert await db_session.scalar(text("SELECT number FROM numbers")) == NUMBER
"""

# What a migration may depend on, beside its own code.
DEPENDS = """
import os
from pathlib import Path
import sample.constants
SQL = Path(__file__).parents[2] / "sql"
def upgrade() -> None:
    os.getenv("SCHEMA_OWNER")
    [op.execute(path.read_text()) for path in sorted(SQL.glob("*.sql"))]
    upgrade_models()

def upgrade_models() -> None:"""

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


def run(sample: Sample, cache: Path, *arguments: str, **env: str) -> Outcome:
    outcome = sample.pytest(*arguments, XDG_CACHE_HOME=str(cache), **env)
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


@pytest.fixture
def depending(counting: Sample) -> Sample:
    """A sample whose migration reads modules, files, a folder and an environment variable."""
    path = revision(counting)
    path.write_text(path.read_text().replace("\ndef upgrade() -> None:", DEPENDS))
    counting.write("src/sample/constants.py", "LENGTH = 254\n")
    (counting.folder / "sql").mkdir()
    counting.write("sql/views.sql", "SELECT 1")
    return counting


@pytest.mark.parametrize(
    "change",
    [
        "a revision",
        "a module that a revision imports",
        "a module that env.py imports",
        "a file that a revision reads",
        "a folder that a revision lists",
        "a variable that a revision reads",
        "--create-db",
    ],
)
def test_a_relevant_change_runs_migrations_again(depending: Sample, cache: Path, change: str) -> None:
    for _ in range(2):
        run(depending, cache)
    assert upgrades(depending) == 1

    match change:
        case "a revision":
            append(revision(depending), "# changed\n")
        case "a module that a revision imports":
            depending.write("src/sample/constants.py", "LENGTH = 255\n")
        case "a module that env.py imports":
            append(depending.folder / "src/sample/db.py", "# changed\n")
        case "a file that a revision reads":
            depending.write("sql/views.sql", "SELECT 2")
        case "a folder that a revision lists":
            depending.write("sql/more.sql", "SELECT 3")
    env = {"SCHEMA_OWNER": "ada"} if change.startswith("a variable") else {}
    for arguments in ([change] if change.startswith("--") else [], []):
        run(depending, cache, *arguments, **env)

    assert upgrades(depending) == 2


def test_files_that_migrations_read_are_remembered_by_each_worker(depending: Sample, cache: Path) -> None:
    """Without a cache folder too: each worker runs the migrations then, and uses the first worker's schema."""
    cache.write_text("a file in its place")

    for sql in ("SELECT 1", "SELECT 2"):
        depending.write("sql/views.sql", sql)
        run(depending, cache, "-n", "2")

    assert 2 <= upgrades(depending) <= 4


@pytest.mark.parametrize("first", [True, False], ids=["an empty cache", "a cache"])
def test_checkouts_with_other_files_share_no_schema_on_a_server(
    depending: Sample, cache: Path, tmp_path: Path, url: str, first: bool
) -> None:
    other = Sample(tmp_path / "other", env_of_copy(depending, tmp_path / "other"))
    shutil.copytree(depending.folder, other.folder)
    # Another schema for each of these tests, which may share the server.
    view = f"CREATE VIEW numbers AS SELECT {{}} AS number, {first} AS is_first"
    for number, sample in enumerate((depending, other)):
        sample.write("sql/views.sql", view.format(number))
        sample.write("tests/test_a.py", NUMBER.replace("NUMBER", str(number)))

    for sample in (depending, other, depending, other):
        outcome = sample.pytest(XDG_CACHE_HOME=str(cache), TEST_DATABASE_URL=url)
        assert "1 passed" in outcome.output, outcome.output
        if first:
            shutil.rmtree(cache)

    assert (upgrades(depending), upgrades(other)) == ((2, 2) if first else (1, 1))


def change_byte(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_an_irrelevant_change_uses_the_cache(counting: Sample, cache: Path) -> None:
    run(counting, cache)
    counting.write("src/sample/unrelated.py", "A = 1\n")

    run(counting, cache)

    assert upgrades(counting) == 1


@pytest.mark.parametrize("damage", ["no control file", "an empty catalog", "a byte", "a file instead", "a symlink"])
def test_a_damaged_entry_is_replaced(counting: Sample, cache: Path, damage: str) -> None:
    run(counting, cache)
    [entry] = entries(cache)
    if damage == "no control file":
        (entry / "data" / "global" / "pg_control").unlink()
    elif damage == "an empty catalog":
        shutil.rmtree(entry / "data" / "base")
    elif damage == "a byte":
        change_byte(max((entry / "data").glob("base/*/2615")), 100)
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
        clusters = ClusterCache(Schema(lambda: digest, lambda server: False, rebuild=False), found)
        clusters.write(data)
        return clusters.entry

    old, *others = [write(f"{number}") for number in range(MAX_ENTRIES)]
    for age, entry in enumerate(reversed(others)):
        os.utime(entry, (time.time() - age, time.time() - age))
    os.utime(old, (0, 0))
    (cache / "savepoint" / "clusters" / "writing-abc").mkdir()

    newest = [write("new"), write("newer")]

    assert set(entries(cache)) == {*newest, *others[2 - MAX_ENTRIES :]}
