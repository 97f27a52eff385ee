"""An error of the server while the databases are prepared ends the run with one message, in one worker or two."""

from pathlib import Path

import pytest
from harness.postgres import local
from harness.postgres.run_folder import RunFolder

from tests.harness.own_server import OF_MAJOR, own_server
from tests.harness.sample import Sample

TESTS = """
import pytest
from httpx import AsyncClient

@pytest.mark.parametrize("number", range(20))
async def test_a_user(client: AsyncClient, number: int) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201
"""

REVISION = '''
"""Ends the server."""

import os
import signal
from pathlib import Path

from alembic import op

revision = "f00d"
down_revision = {down_revision!r}

def upgrade() -> None:
    connection = op.get_bind()
    {ends}

def downgrade() -> None: ...
'''
ENDS = {
    "its process": """pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    os.kill(pid, signal.SIGKILL)
    op.execute("SELECT 1")""",
    "the server": """folder = connection.exec_driver_sql("SHOW data_directory").scalar()
    os.kill(int(Path(folder, "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    while True:
        op.execute("SELECT pg_sleep(0.05)")""",
}


def with_revision(sample: Sample, ends: str) -> None:
    sample.write("tests/test_a.py", TESTS)
    heads = sample.check(sample.python, "-c", HEADS).split()
    sample.write("migrations/versions/f00d.py", REVISION.format(down_revision=heads[0], ends=ENDS[ends]))


HEADS = """
from alembic.config import Config
from alembic.script import ScriptDirectory
print(*ScriptDirectory.from_config(Config("alembic.ini")).get_heads())
"""


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize(
    ("ends", "words"),
    [("its process", "was terminated by signal 9"), ("the server", "the server has stopped: killed by signal 9")],
)
def test_a_migration_that_ends_the_server(sample: Sample, ends: str, words: str, workers: str) -> None:
    with_revision(sample, ends)

    outcome = sample.pytest("-n", workers)

    assert outcome.code != 0
    assert words in outcome.error, outcome.output
    assert "migrations/versions/f00d.py:" in outcome.error
    assert "Traceback" not in outcome.output
    assert "ERROR tests/" not in outcome.output
    # A message of the migration, with its file, and one on the server, of each worker.
    assert len(outcome.error.splitlines()) <= 6


@pytest.mark.parametrize("ends", ENDS)
def test_on_a_server_of_a_url(sample: Sample, ends: str) -> None:
    with_revision(sample, ends)
    folder = RunFolder.make()
    try:
        server = local.start(folder, 18)

        outcome = sample.pytest(TEST_DATABASE_URL=f"postgresql://postgres@/postgres?host={server.host}")
    finally:
        folder.close()

    assert outcome.code != 0
    assert "postgres: while " in outcome.error, outcome.output
    assert "migrations/versions/f00d.py:" in outcome.error
    assert "Traceback" not in outcome.output
    assert "ERROR tests/" not in outcome.output


def test_a_standby(sample: Sample, readable: Path) -> None:
    """It accepts connections, and refuses CREATE DATABASE."""
    sample.write("tests/test_a.py", TESTS)
    with own_server(readable, {}, lambda data: (data / "standby.signal").touch()) as port:
        url = f"postgresql://postgres@/postgres?host={readable}&port={port}"
        outcome = sample.pytest("-o", OF_MAJOR, TEST_DATABASE_URL=url)

    assert outcome.error.splitlines() == [
        "postgres: while the template database was built: cannot execute CREATE DATABASE in a read-only transaction",
        "It is a standby. Use a server that accepts writes.",
    ]
