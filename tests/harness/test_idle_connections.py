"""A proxy closes connections that are idle: they are opened again, and the run keeps its databases."""

from contextlib import suppress

import pytest
from harness.database import locking_connection
from harness.database.databases import WorkerDatabases
from harness.database.maintenance import MaintenanceConnection
from harness.postgres.server import Server
from psycopg import OperationalError
from psycopg.errors import DuplicateObject, LockNotAvailable

from tests.harness.sample import Sample

# Closes all connections of the run between two tests, as a proxy does after some minutes.
PROXY = """
import pytest

from tests.harness.database.own_database import CLONES
from tests.harness.database.server import USED
from tests.harness.postgres import server

OTHERS = "FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()"

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    server.IDLE = -1
    if item.config.getoption("cut") and USED in item.config.stash:
        # A proxy closes no connection that waits for an answer.
        clones = item.config.stash.get(CLONES, None)
        for future in [] if clones is None else [*clones._ready, *clones._dropped]:
            future.result()
        with item.config.stash[USED].connect() as connection:
            cut = connection.execute(f"SELECT pg_terminate_backend(pid, 10000) {OTHERS}").fetchall()
        assert cut

def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cut", action="store_true")
"""

TESTS = """
import pytest
from httpx import AsyncClient
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from sample.models import User

@pytest.mark.parametrize("number", range(3))
async def test_a_savepoint(client: AsyncClient, db_session: AsyncSession, number: int) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201
    assert await db_session.scalar(select(func.count()).select_from(User)) == 1

@pytest.mark.own_database
@pytest.mark.parametrize("number", range(3))
async def test_b_own_database(client: AsyncClient, number: int) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201

def test_c_nothing() -> None: ...

async def test_d_savepoint_again(client: AsyncClient) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201
"""


@pytest.fixture
def url(server: Server, worker_id: str) -> str:
    """Of a role whose connections are those of one run."""
    role = f"cut_{worker_id}"
    with server.connect() as connection, suppress(DuplicateObject):
        connection.execute(f"CREATE ROLE {role} LOGIN CREATEDB".encode())
    return f"postgresql://{role}@/postgres?host={server.host}"


@pytest.fixture
def tests(sample: Sample) -> Sample:
    sample.write("proxy.py", PROXY)
    sample.write("tests/test_a.py", TESTS)
    return sample


def without_pings(sample: Sample) -> None:
    path = sample.folder / "src" / "sample" / "main.py"
    content = path.read_text()
    assert "pool_pre_ping=True" in content
    path.write_text(content.replace("pool_pre_ping=True", "pool_pre_ping=False"))


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
@pytest.mark.parametrize("random", ["no:randomly", "randomly"])
def test_closed_between_tests(tests: Sample, url: str, random: str, driver: str) -> None:
    application = f"postgresql+{driver}://sample@localhost/sample"
    # With it, SQLAlchemy connects again.
    without_pings(tests)

    outcome = tests.pytest("-p", "proxy", "--cut", "-p", random, TEST_DATABASE_URL=url, DATABASE_URL=application)

    assert "8 passed" in outcome.output, outcome.output
    assert "the harness's connection was closed during the run, and was opened again" in outcome.output


def test_an_open_connection_is_not_replaced(tests: Sample, url: str) -> None:
    outcome = tests.pytest("-p", "proxy", TEST_DATABASE_URL=url)

    assert "8 passed" in outcome.output, outcome.output
    assert "opened again" not in outcome.output


SWEPT = """
from tests.harness.database.databases import WorkerDatabases
from tests.harness.database.server import USED

async def test_a(db_session) -> None: ...

def test_b_another_run_begins(pytestconfig) -> None:
    others = "FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()"
    server = pytestconfig.stash[USED]
    with server.connect() as connection:
        connection.execute(f"SELECT pg_terminate_backend(pid, 10000) {others}")
    other = WorkerDatabases(server, "01234567_main")
    other.sweep()
    other.close()

async def test_c(db_session) -> None: ...
async def test_d(db_session) -> None: ...
"""


def test_databases_that_another_run_has_dropped(tests: Sample, url: str) -> None:
    """Without its lock, a run cannot be told from one that has ended."""
    tests.write("tests/test_a.py", SWEPT)

    outcome = tests.pytest("-p", "proxy", "-p", "no:randomly", TEST_DATABASE_URL=url)

    assert "postgres: another run has dropped the databases of this run: " in outcome.error, outcome.output
    assert len(outcome.error.splitlines()) == 1
    assert "2 passed" in outcome.output
    assert "Traceback" not in outcome.output


def test_locks_are_taken_again(server: Server) -> None:
    mine, other = MaintenanceConnection(server), MaintenanceConnection(server)
    mine.lock("one")
    mine.lock("two")
    with mine.locked("three"):
        pass
    with server.connect() as connection:
        pid = mine.one("SELECT pg_backend_pid() WHERE %s <> ''", "x")
        connection.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))
    assert other.try_lock("one")
    other.unlock("one")

    mine.reopen_if_closed()

    assert not other.try_lock("one")
    assert not other.try_lock("two")
    assert other.try_lock("three")
    assert mine.times_reopened == 1
    mine.close()
    other.close()


def test_a_session_that_the_server_still_has_gives_up_its_locks(server: Server) -> None:
    """A firewall has closed the connection on this side alone."""
    mine = MaintenanceConnection(server)
    mine.lock("four")
    forgotten, mine._connection = mine._connection, server.connect()
    mine._connection.close()

    mine.reopen_if_closed()

    assert mine.times_reopened == 1
    with pytest.raises(OperationalError):
        forgotten.execute("SELECT")
    mine.close()


def test_a_lock_that_another_run_has_taken_is_not_waited_for_without_a_limit(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = MaintenanceConnection(server), MaintenanceConnection(server)
    mine.lock("five")
    mine._connection.close()
    monkeypatch.setattr(locking_connection, "LOCK_LIMIT", "1ms")
    other.lock("five")

    with pytest.raises(LockNotAvailable):
        mine.reopen_if_closed()
    other.unlock("five")
    mine.reopen_if_closed()

    assert not other.try_lock("five")
    mine.close()
    other.close()


def test_a_sweep_leaves_the_databases_of_its_own_run(server: Server) -> None:
    first = WorkerDatabases(server, "abcdef01_gw0")
    name = first.create_empty()
    first._maintenance.unlock(first.prefix)
    second = WorkerDatabases(server, "abcdef01_gw1")

    second.sweep()

    assert first._maintenance.find(name) is not None
    second.close()
    first.drop(name)
    first.close()
