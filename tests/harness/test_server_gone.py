"""If the server stops during a test, the test fails and the run ends with one line, not one error per test."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
from harness.postgres import local
from harness.postgres.run_folder import RunFolder
from harness.postgres.server import Server
from psycopg.errors import DuplicateObject

from tests.harness.namespace import run_apart
from tests.harness.sample import Outcome, Sample

TESTS = """
import os
import signal
from pathlib import Path

import pytest
from httpx import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.harness.postgres.server import Server

@pytest.mark.parametrize("number", range(200))
async def test_sign_up(client: AsyncClient, db_session: AsyncSession, postgres_server: Server, number: int) -> None:
    with Path("started").open("a") as started:
        print(number, file=started)
    if number == 100:
        Path("folder").write_text(str(Path(postgres_server.host).parent))
        {kill}
    assert (await client.post("/users", json={{"email": "ada@example.com"}})).status_code == 201
"""

SERVER = """
        pid = (Path(postgres_server.host).parent / "data" / "postmaster.pid").read_text().split()[0]
        os.kill(int(pid), signal.SIGKILL)
"""

# A separate IPC namespace, so that only this run's shared memory is listed.
APART = "--mount --ipc"

ONE_OF_ITS_PROCESSES = """
        os.kill((await db_session.scalars(text("SELECT pg_backend_pid()"))).one(), signal.SIGKILL)
"""

# The server ends all connections when any of its processes crashes.
ANOTHER_PROCESS = """
        query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
        os.kill((await db_session.scalars(text(query))).one(), signal.SIGKILL)
        raise LookupError
"""


OWN_DATABASE = """
@pytest.mark.own_database
@pytest.mark.parametrize("number", range(3))
async def test_with_a_database(client: AsyncClient, number: int) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201
"""


def with_tests(sample: Sample, kill: str) -> None:
    sample.write("tests/test_a.py", TESTS.format(kill=kill.strip()))


def failed_of(outcome: Outcome) -> set[str]:
    """The tests that failed, in the test or in its tear-down: the server may still answer for a moment."""
    return set(re.findall(r"^(?:FAILED|ERROR) (\S+)", outcome.output, re.M))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("kill", "words"),
    [
        (SERVER, "postgres: the server has stopped: killed by signal 9; last message: "),
        (ONE_OF_ITS_PROCESSES, "client backend (PID "),
        (ANOTHER_PROCESS, "checkpointer process (PID "),
    ],
    ids=["the server", "one of its processes", "another process"],
)
def test_the_run_ends_with_one_line(sample: Sample, kill: str, words: str, workers: int) -> None:
    with_tests(sample, kill)

    outcome = sample.pytest("-n", str(workers))

    assert outcome.code != 0
    # In each worker, only the running test fails, in the test or in its tear-down.
    failed = failed_of(outcome)
    assert 1 <= len(failed) <= max(1, workers), outcome.output
    assert "INTERNALERROR" not in outcome.output
    # Below pytest's list of what failed, where it is seen.
    assert "FAILED" not in outcome.output.partition("Test run aborted =")[2]
    [line] = [line for line in outcome.error.splitlines() if line.startswith("postgres: ")]
    assert words in line
    assert not Path((sample.folder / "folder").read_text()).exists()


def test_no_shared_memory_is_left(sample: Sample) -> None:
    with_tests(sample, SERVER)

    outcome = run_apart(
        sample, 'mount -t tmpfs none /dev/shm; "$@"; echo "--- left"; ipcs -m | grep 0x; ls -A /dev/shm', options=APART
    )

    assert "postgres: the server has stopped: " in outcome.error, outcome.output
    assert outcome.output.endswith("--- left\n"), outcome.output


def test_an_existing_server(sample: Sample) -> None:
    """The message has only the error of the connection, since the harness has no log of this server."""
    folder = RunFolder.make()
    try:
        server = local.start(folder, 18)
        with_tests(sample, SERVER)

        outcome = sample.pytest(TEST_DATABASE_URL=f"postgresql://postgres@/postgres?host={server.host}")
    finally:
        folder.close()

    # The server's processes may answer for a moment after its first process has ended, so it may be a later test.
    [failed] = failed_of(outcome)
    started = (sample.folder / "started").read_text().split()
    assert failed.endswith(f"[{started[-1]}]"), outcome.output
    assert "100" in started
    assert "postgres: the server has stopped: " in outcome.error
    assert "Connection refused" in outcome.error


def test_a_terminated_connection_fails_only_its_test(sample: Sample) -> None:
    cut = 'await db_session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))'
    with_tests(sample, cut)

    outcome = sample.pytest()

    assert outcome.output.count("FAILED ") == 1, outcome.output
    assert "1 failed, 199 passed" in outcome.output, outcome.output
    assert "Test run aborted" not in outcome.output


def test_a_server_killed_in_the_last_test_causes_no_internal_error(sample: Sample) -> None:
    with_tests(sample, SERVER)
    path = sample.folder / "tests" / "test_a.py"
    path.write_text(path.read_text().replace("range(200)", "[100]"))

    outcome = sample.pytest()

    assert failed_of(outcome) == {"tests/test_a.py::test_sign_up[100]"}, outcome.output
    assert "INTERNALERROR" not in outcome.output, outcome.output


FAILS_AT_ITS_END = """
from collections.abc import Iterator

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

@pytest.fixture
def mailbox(db_session: AsyncSession) -> Iterator[list[str]]:
    box: list[str] = []
    yield box
    assert not box, "letters are left"

async def test_a_letter(mailbox: list[str]) -> None:
    mailbox.append("a letter")
"""


def test_an_error_in_the_last_tear_down_does_not_abort_the_run(sample: Sample) -> None:
    sample.write("tests/test_a.py", FAILS_AT_ITS_END)

    outcome = sample.pytest()

    assert "1 passed, 1 error" in outcome.output, outcome.output
    assert "letters are left" in outcome.output
    assert "Test run aborted" not in outcome.output, outcome.output


WITHOUT_CONNECTIONS = """
from collections.abc import Iterator

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from tests.harness.postgres.server import HarnessConnection, Server

@pytest.fixture
def without_connections(postgres_server: Server) -> Iterator[None]:
    as_superuser = {{"host": postgres_server.host, "user": "postgres", "dbname": "postgres"}}
    with HarnessConnection.connect(**as_superuser, autocommit=True) as connection:
        connection.execute("ALTER ROLE thrifty CONNECTION LIMIT 0")
        {closed}
        yield
        connection.execute("ALTER ROLE thrifty CONNECTION LIMIT -1")

async def test_a_that_fails(db_session: AsyncSession, without_connections: None) -> None:
    assert 1 == 2

async def test_b(db_session: AsyncSession) -> None: ...

@pytest.mark.own_database
async def test_c(db_session: AsyncSession) -> None: ...

def test_d(empty_database_name: str) -> None: ...
"""

CLOSED = """connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE usename = 'thrifty' AND application_name = 'savepoint'"
        )"""


@pytest.mark.parametrize("closed", ["", CLOSED], ids=["", "the harness's connection is closed too"])
def test_a_server_without_free_connections_has_not_stopped(sample: Sample, server: Server, closed: str) -> None:
    with server.connect() as connection, suppress(DuplicateObject):
        connection.execute("CREATE ROLE thrifty LOGIN CREATEDB")
    sample.write("tests/test_a.py", WITHOUT_CONNECTIONS.format(closed=closed))

    outcome = sample.pytest("-p", "no:randomly", TEST_DATABASE_URL=f"postgresql://thrifty@/postgres?host={server.host}")

    assert "1 failed, 3 passed" in outcome.output, outcome.output
    assert "Test run aborted" not in outcome.output, outcome.output


@pytest.mark.parametrize("source", ["local", "url"])
@pytest.mark.parametrize("then", ["raise LookupError", "return"])
def test_terminating_the_harness_connection_fails_no_other_test(
    sample: Sample, url: str, source: str, then: str
) -> None:
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'savepoint'"
    with_tests(sample, f'await db_session.execute(text("{others}"))\n        {then}')
    path = sample.folder / "tests" / "test_a.py"
    path.write_text(path.read_text() + OWN_DATABASE)

    # In this order: a connection that is cloning a database is not terminated.
    outcome = sample.pytest("-p", "no:randomly", **({"TEST_DATABASE_URL": url} if source == "url" else {}))

    failed = {"tests/test_a.py::test_sign_up[100]"} if then.startswith("raise") else set()
    assert failed_of(outcome) == failed, outcome.output
    assert f"{203 - len(failed)} passed" in outcome.output
    if failed:
        assert "postgres: the harness's connection was closed during the run, and was opened again." in outcome.output
    assert "Test run aborted" not in outcome.output


KILLED_ONCE = """
import os
import signal
from pathlib import Path

from tests.harness.database.maintenance import MaintenanceConnection

create = MaintenanceConnection.create

def create_after_a_crash(self, name):
    if not Path("killed").exists():
        Path("killed").touch()
        os.kill(self._connection.info.backend_pid, signal.SIGKILL)
    create(self, name)

MaintenanceConnection.create = create_after_a_crash

from tests.harness.postgres.run_folder import RunFolder

supervise = RunFolder.supervise

def supervise_and_count(self, plan):
    with Path("started").open("a") as started:
        print("a server", file=started)
    return supervise(self, plan)

RunFolder.supervise = supervise_and_count
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_crash_while_the_cluster_is_made_ends_the_run_once(sample: Sample, workers: str) -> None:
    """Another worker would start a second server in the folder, and wait for the supervisor of the first."""
    conftest = (sample.folder / "tests/conftest.py").read_text()
    sample.write("tests/conftest.py", f"{conftest}\n{KILLED_ONCE}")
    sample.write("tests/test_a.py", OWN_DATABASE.replace("@", "import pytest\nfrom httpx import AsyncClient\n\n@", 1))

    outcome = sample.pytest("-n", workers, "--postgres=local", "--create-db")

    assert "Test run aborted" in outcome.output, outcome.output
    [line] = [line for line in outcome.error.splitlines() if line.startswith("postgres: ")]
    assert line.startswith("postgres: while the schema was prepared: "), outcome.output
    assert (sample.folder / "started").read_text() == "a server\n"
