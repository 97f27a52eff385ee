"""own_database: a database for each test, dropped when the test has passed, kept when it has failed."""

import os
import re
import shlex
import signal
from pathlib import Path

import psycopg
import pytest
from harness.postgres.server import Server

from tests.harness.sample import Sample
from tests.harness.test_end_of_run import is_running, until

TESTS = """
from pathlib import Path
import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

@pytest.mark.own_database
@pytest.mark.parametrize("number", range(12))
async def test_own(client: AsyncClient, engine: AsyncEngine, number: int) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).json()["id"] == 1
    with Path("names").open("a") as file:
        file.write(f"{engine.url.database}\\n")
"""

FAILS = """
import pytest
from httpx import AsyncClient

@pytest.mark.own_database
async def test_that_fails(client: AsyncClient) -> None:
    await client.post("/users", json={"email": "ada@example.com"})
    assert False

@pytest.mark.own_database
async def test_that_passes(client: AsyncClient) -> None:
    await client.post("/users", json={"email": "grace@example.com"})
"""


def kept(output: str) -> list[list[str]]:
    """The commands in the summary that connect to kept databases."""
    lines = re.findall(r"^kept the database of tests/test_a.py::test_that_fails: (.*)$", output, re.M)
    return [shlex.split(line) for line in lines]


def emails(command: list[str]) -> list[str]:
    """The rows that psql shows with this command."""
    given = dict(zip(command[-7:-1:2], command[-6:-1:2], strict=True))
    with psycopg.connect(host=given["-h"], port=given["-p"], user=given["-U"], dbname=command[-1]) as connection:
        return [email for (email,) in connection.execute("SELECT email FROM users")]


def names(server: Server) -> set[str]:
    query = "SELECT datname FROM pg_database WHERE datname LIKE 'savepoint%' AND NOT datistemplate"
    with server.connect() as connection:
        return {name for (name,) in connection.execute(query)}


@pytest.mark.parametrize("workers", ["0", "2"])
def test_each_test_has_its_own_database(sample: Sample, server: Server, url: str, workers: str) -> None:
    sample.write("tests/test_a.py", TESTS)

    outcome = sample.pytest("-n", workers, TEST_DATABASE_URL=url)

    assert "12 passed" in outcome.output, outcome.output
    assert len(set((sample.folder / "names").read_text().split())) == 12
    assert names(server) == set()


@pytest.mark.parametrize("workers", ["0", "2"])
def test_an_external_server_keeps_the_database_of_a_failed_test(
    sample: Sample, server: Server, url: str, workers: str
) -> None:
    sample.write("tests/test_a.py", FAILS)

    outcome = sample.pytest("-n", workers, TEST_DATABASE_URL=url)

    [command] = kept(outcome.output)
    assert emails(command) == ["ada@example.com"]
    assert names(server) == {command[-1]}
    sample.write("tests/test_a.py", TESTS)
    assert "12 passed" in sample.pytest(TEST_DATABASE_URL=url).output
    assert names(server) == set()


def test_a_password_is_not_shown(sample: Sample, server: Server) -> None:
    sample.write("tests/test_a.py", FAILS)

    outcome = sample.pytest(TEST_DATABASE_URL=f"postgresql://with_password:s3cret@/postgres?host={server.host}")

    [command] = kept(outcome.output)
    assert command[0] == "PGPASSWORD=…"
    assert "s3cret" not in outcome.output


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_server_of_the_run_is_kept_with_the_option(sample: Sample, workers: str) -> None:
    sample.write("tests/test_a.py", FAILS)

    outcome = sample.pytest("-n", workers, "--keep-failed-databases")

    [command] = kept(outcome.output)
    told = re.search(r"^stop its server: kill (\d+)$", outcome.output, re.M)
    assert told, outcome.output
    supervisor, folder = int(told[1]), Path(command[command.index("-h") + 1]).parent
    try:
        assert emails(command) == ["ada@example.com"]
    finally:
        os.kill(supervisor, signal.SIGTERM)
    until(lambda: not folder.exists() and not is_running(supervisor))


def test_the_server_is_stopped_if_no_test_failed(sample: Sample) -> None:
    sample.write("tests/test_a.py", TESTS)

    outcome = sample.pytest("--keep-failed-databases")

    assert "12 passed" in outcome.output, outcome.output
    assert "kept the database" not in outcome.output
    [folder] = re.findall(r"data in (\S+)$", outcome.output, re.M)
    assert not Path(folder).exists()


def test_the_server_is_stopped_without_the_option(sample: Sample) -> None:
    sample.write("tests/test_a.py", FAILS)

    outcome = sample.pytest()

    assert "1 failed, 1 passed" in outcome.output, outcome.output
    assert "kept the database" not in outcome.output
    [folder] = re.findall(r"data in (\S+)$", outcome.output, re.M)
    assert not Path(folder).exists()
