"""A connection pooler is refused in one line, and a server with few connections is enough."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from harness.postgres import privileges
from harness.postgres.server import Server

from tests.conftest import REQUIRED
from tests.harness.own_server import OF_MAJOR, free_port, own_server
from tests.harness.sample import Sample
from tests.harness.test_end_of_run import until

A_TEST = """
import pytest
from httpx import AsyncClient

async def test_a_user(client: AsyncClient) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201

@pytest.mark.own_database
@pytest.mark.parametrize("number", range(8))
async def test_with_a_database(client: AsyncClient, number: int) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201
"""

CONFIGURATION = """
[databases]
* = host={host} port=5432 user=postgres

[pgbouncer]
pool_mode = {mode}
listen_addr =
unix_socket_dir = {folder}
listen_port = {port}
auth_type = any
{settings}
logfile = {folder}/log
"""

IGNORED = "ignore_startup_parameters = options, extra_float_digits"


class Pooler(Protocol):
    def __call__(self, mode: str, settings: str = IGNORED) -> str: ...


@pytest.fixture
def pooler(server: Server, readable: Path) -> Iterator[Pooler]:
    """`pooler("session")`: a URL of the server through PgBouncer."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        if "pgbouncer" in REQUIRED:
            pytest.fail("PgBouncer is not installed")
        pytest.skip("PgBouncer is not installed")
    user = privileges.server_user()
    as_user: dict[str, Any] = {} if user is None else {"user": user.uid, "group": user.gid, "extra_groups": []}
    if user is not None:
        os.chown(readable, user.uid, user.gid)

    def run(mode: str, settings: str = IGNORED) -> str:
        port = free_port()
        file = readable / "pgbouncer.ini"
        text = CONFIGURATION.format(host=server.host, mode=mode, folder=readable, port=port, settings=settings)
        file.write_text(text)
        process = subprocess.Popen([program, "--quiet", str(file)], cwd=readable, **as_user)
        ended.callback(process.wait)
        ended.callback(process.send_signal, signal.SIGINT)
        until((readable / f".s.PGSQL.{port}").exists)
        return f"postgresql://postgres@/postgres?host={readable}&port={port}"

    with ExitStack() as ended:
        yield run


REFUSAL = (
    "postgres: TEST_DATABASE_URL: it leads to a connection pooler, with which databases cannot be cloned. "
    "Use the address of the server itself."
)


@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
def test_a_pooler_is_refused_in_one_line(sample: Sample, pooler: Pooler, mode: str) -> None:
    sample.write("tests/test_a.py", A_TEST)

    outcome = sample.pytest("-n", "2", TEST_DATABASE_URL=pooler(mode))

    assert outcome.error == REFUSAL


@pytest.mark.parametrize("setting", ["server_idle_timeout = 1", "server_lifetime = 1"])
def test_a_pooler_that_keeps_sessions_for_a_moment(sample: Sample, pooler: Pooler, setting: str) -> None:
    sample.write("tests/test_a.py", A_TEST)

    outcome = sample.pytest(TEST_DATABASE_URL=pooler("session", f"{IGNORED}\n{setting}"))

    assert outcome.error == REFUSAL, outcome.output


def test_a_pooler_that_has_one_session(sample: Sample, pooler: Pooler) -> None:
    sample.write("tests/test_a.py", A_TEST)
    settings = f"{IGNORED}\nquery_wait_timeout = 1\ndefault_pool_size = 1"

    outcome = sample.pytest(TEST_DATABASE_URL=pooler("session", settings))

    assert outcome.error == REFUSAL, outcome.output


def test_a_pooler_that_refuses_options(sample: Sample, pooler: Pooler) -> None:
    sample.write("tests/test_a.py", A_TEST)

    outcome = sample.pytest(TEST_DATABASE_URL=f"{pooler('session', '')}&options=-c%20geqo%3Doff")

    assert outcome.error == REFUSAL, outcome.output


@pytest.fixture
def limited(server: Server) -> Iterator[Callable[[int], str]]:
    """`limited(10)`: the URL of a role that may have ten connections."""

    def limit(number: int) -> str:
        with server.connect() as connection:
            connection.execute(f"ALTER ROLE few CONNECTION LIMIT {number}".encode())
        return f"postgresql://few@/postgres?host={server.host}"

    with server.connect() as connection, suppress(psycopg.errors.DuplicateObject):
        connection.execute("CREATE ROLE few LOGIN CREATEDB")
    yield limit

    # Tests that fail keep their databases.
    owned = "SELECT datname FROM pg_database WHERE pg_get_userbyid(datdba) = 'few' AND NOT datistemplate"
    with server.connect() as connection:
        for (name,) in connection.execute(owned).fetchall():
            connection.execute(f"DROP DATABASE {name}".encode())


def test_ten_connections_are_enough_for_two_workers(sample: Sample, limited: Callable[[int], str]) -> None:
    sample.write("tests/test_a.py", A_TEST)

    outcome = sample.pytest("-n", "2", TEST_DATABASE_URL=limited(10))

    assert "9 passed" in outcome.output, outcome.output


FEW = """
import asyncio

import pytest
from httpx import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

OURS = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'few' AND application_name = 'savepoint'"

async def test_a_user(client: AsyncClient) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201

@pytest.mark.own_database
@pytest.mark.parametrize("number", range(4))
async def test_the_harness_keeps_one_connection(engine: AsyncEngine, number: int) -> None:
    async with engine.connect() as connection:
        # A process of the server ends a moment after its connection was closed.
        while (found := await connection.scalar(text(OURS))) > 1:
            await connection.rollback()
            await asyncio.sleep(0.01)
    assert found == 1
"""


def test_connections_that_clone_databases_are_not_kept_if_few_are_allowed(
    sample: Sample, limited: Callable[[int], str]
) -> None:
    sample.write("tests/test_a.py", FEW)

    outcome = sample.pytest("-o", "savepoint_test_timeout_seconds=20", TEST_DATABASE_URL=limited(20))

    assert "5 passed" in outcome.output, outcome.output


def test_a_server_whose_last_connections_are_reserved(sample: Sample, readable: Path) -> None:
    sample.write("tests/test_a.py", A_TEST)
    with own_server(readable, {"max_connections": 13, "superuser_reserved_connections": 3}) as port:
        with psycopg.connect(host=str(readable), port=port, user="postgres", autocommit=True) as connection:
            connection.execute("CREATE ROLE few LOGIN CREATEDB")

        outcome = sample.pytest(
            *("-n", "2", "-o", OF_MAJOR), TEST_DATABASE_URL=f"postgresql://few@/postgres?host={readable}&port={port}"
        )

    assert "9 passed" in outcome.output, outcome.output


@pytest.mark.parametrize(("number", "workers"), [(1, "0"), (2, "0"), (2, "2")])
def test_too_few_connections_are_one_error(
    sample: Sample, limited: Callable[[int], str], number: int, workers: str
) -> None:
    sample.write("tests/test_a.py", A_TEST)

    # In this order: the connection of the savepoint test stays, and the clones' is one too many.
    outcome = sample.pytest("-p", "no:randomly", "-n", workers, TEST_DATABASE_URL=limited(number))

    assert 'too many connections for role "few"' in outcome.error, outcome.output
    assert len(outcome.error.splitlines()) <= 2
    assert "Traceback" not in outcome.output
