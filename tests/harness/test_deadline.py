"""The time limit: a test that hangs fails with the line where it stopped, and later tests pass."""

import xml.etree.ElementTree as ElementTree

import pytest

from tests.environment import Project
from tests.harness.sample import Sample

HANGS = """
import asyncio
import threading
import time
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from httpx import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.harness.postgres.server import Server


async def for_ever() -> None:
    await asyncio.Event().wait()


async def test_an_await(client: AsyncClient) -> None:
    await for_ever()


@pytest.fixture
async def never_up(anyio_backend: str) -> None:
    await for_ever()


async def test_a_set_up(client: AsyncClient, never_up: None) -> None:
    pass


@pytest.fixture
async def never_down(anyio_backend: str) -> AsyncIterator[None]:
    yield
    await for_ever()


async def test_a_tear_down(client: AsyncClient, never_down: None) -> None:
    pass


class TestOfAClass:
    @pytest.fixture
    async def never_up(self, anyio_backend: str) -> None:
        await for_ever()

    async def test_a_method(self, never_up: None) -> None:
        pass


def test_a_block() -> None:
    threading.Event().wait()


def test_a_loop_of_its_own() -> None:
    asyncio.run(for_ever())


async def test_a_block_of_the_loop(client: AsyncClient) -> None:
    time.sleep(3600)


def test_a_statement_of_psycopg(postgres_server: Server, empty_database_name: str) -> None:
    with postgres_server.connect(empty_database_name) as connection:
        connection.execute("SELECT pg_sleep(3600)")


@pytest.mark.own_database
async def test_a_lock(client: AsyncClient, db_session: AsyncSession) -> None:
    await db_session.execute(text("INSERT INTO users (email) VALUES ('ada@example.com')"))
    await client.post("/users", json={"email": "ada@example.com"})


async def test_an_endless_answer(client: AsyncClient, app: FastAPI) -> None:
    async def lines() -> AsyncIterator[str]:
        while True:
            yield "tick"
            await asyncio.sleep(0.01)

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        return StreamingResponse(lines())

    await client.get("/endless")


async def test_a_cancellation_that_is_swallowed(client: AsyncClient) -> None:
    try:
        await for_ever()
    except asyncio.CancelledError:
        pass


async def test_a_task(client: AsyncClient) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(for_ever(), name="poller")
"""

PLACE = "Stopped at tests/test_a.py:"
SAID = {
    "test_an_await": ["test_an_await timed out after 1 s", PLACE, "in for_ever"],
    "test_a_set_up": ["setup of test_a_set_up timed out", PLACE, "in for_ever"],
    "test_a_tear_down": ["teardown of test_a_tear_down timed out", PLACE, "in for_ever"],
    "test_a_method": ["setup of test_a_method timed out", PLACE],
    "test_a_block": [PLACE, "in test_a_block"],
    "test_a_loop_of_its_own": [PLACE, "in test_a_loop_of_its_own"],
    "test_a_block_of_the_loop": [PLACE, "in test_a_block_of_the_loop"],
    "test_a_statement_of_psycopg": [PLACE, "in test_a_statement_of_psycopg"],
    "test_a_lock": [
        PLACE,
        "Unfinished request: POST /users, at src/sample/users.py:",
        "Database activity: INSERT INTO users (email) VALUES ($1::VARCHAR)",
        'waits for a lock held by a connection in state "idle in transaction" after: INSERT INTO users (email) VALUES ('
        "'…')",
    ],
    "test_an_endless_answer": [
        "Unfinished request: GET /endless. The response has begun",
        'async with client.stream("GET", …)',
    ],
    "test_a_cancellation_that_is_swallowed": ["timed out after 1 s"],
    "test_a_task": ["in test_a_task", "Unfinished task: poller, at tests/test_a.py:"],
}

INNOCENT = """

async def test_after_{0}(client: AsyncClient) -> None:
    assert (await client.post("/users", json={{"email": "ada@example.com"}})).status_code == 201
"""

LAST = """
import asyncio
from collections.abc import AsyncIterator

import pytest

@pytest.fixture
async def never_down(anyio_backend: str) -> AsyncIterator[None]:
    yield
    await asyncio.Event().wait()

async def test_the_last(never_down: None) -> None:
    pass
"""

RIGHT = """
import signal
import time
from collections.abc import AsyncIterator

import pytest

@pytest.fixture(scope="session")
async def takes_longer_than_a_test_may(anyio_backend: str) -> AsyncIterator[None]:
    time.sleep(1.5)
    yield
    time.sleep(1.5)

async def test_a_fixture_of_wider_scope(takes_longer_than_a_test_may: None) -> None:
    pass

def test_an_alarm_of_the_tests_own() -> None:
    received: list[int] = []
    signal.signal(signal.SIGALRM, lambda number, frame: received.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    signal.pause()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert received

def test_a_debugger(pytestconfig: pytest.Config) -> None:
    pytestconfig.hook.pytest_enter_pdb(config=pytestconfig, pdb=None)
    time.sleep(1.5)
"""

LOOKS = """
import signal

import pytest

@pytest.mark.parametrize("allowed", [False, pytest.param(True, marks=pytest.mark.allow_guard("slow_test"))])
def test_the_alarm(allowed: bool) -> None:
    left, _ = signal.getitimer(signal.ITIMER_REAL)
    print(f"{allowed}: {-(-left // 10):.0f} times ten seconds")
"""


@pytest.fixture(scope="module")
def said(sample_project: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """What each test of a run said in which many hang; None of one that passed."""
    sample = Sample.of(sample_project, tmp_path_factory.mktemp("hangs") / "sample")
    # A whole and innocent test after each that hangs.
    parts = HANGS.split("\n\n\n")
    for number, part in enumerate(parts):
        if "test_" in part.partition("(")[0] or "def test_" in part:
            parts[number] += INNOCENT.format(number)
    sample.write("tests/test_a.py", "\n\n\n".join(parts))
    outcome = sample.pytest("-p", "no:randomly", "-o", "savepoint_test_timeout_seconds=1", "--junit-xml=report.xml")
    report = ElementTree.parse(sample.folder / "report.xml").getroot()  # noqa: S314 - our own pytest wrote it
    found: dict[str, str | None] = {}
    for case in report.iter("testcase"):
        failures = [
            f"{failure.get('message')}\n{failure.text}" for failure in [*case.iter("failure"), *case.iter("error")]
        ]
        found[case.attrib["name"]] = "\n".join(failures) or None
    assert found, outcome.output
    return found


@pytest.mark.parametrize("name", SAID)
def test_a_test_that_hangs_fails_with_its_line(said: dict[str, str | None], name: str) -> None:
    message = said[name]

    assert message is not None, f"{name} passed"
    for words in SAID[name]:
        assert words in message


def test_those_after_it_pass(said: dict[str, str | None]) -> None:
    after = {name: message for name, message in said.items() if name.startswith("test_after_")}

    assert len(after) == len(SAID)
    assert set(after.values()) == {None}


def test_no_values_are_shown(said: dict[str, str | None]) -> None:
    assert "ada@example.com" not in str(said["test_a_lock"])


def test_the_last_test_has_no_more_time_for_fixtures_of_its_own(sample: Sample) -> None:
    sample.write("tests/test_a.py", LAST)

    outcome = sample.pytest("-o", "savepoint_test_timeout_seconds=1")

    assert "teardown of test_the_last timed out after 1 s" in outcome.output, outcome.output


WRITES = """
import asyncio

import pytest
from sample.models import User
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from tests.harness.connections.process import PROCESS_REDIRECT
from tests.harness.transaction import shared_connection

shared_connection.LIMIT = 1


@pytest.fixture
async def a_row(anyio_backend: str, session_factory: async_sessionmaker[AsyncSession]) -> None:
    async with session_factory() as session:
        await session.execute(insert(User).values(email="ada@example.com"))
        await session.commit()
    # As if a statement were under way until the teardown is ended.
    await PROCESS_REDIRECT.shared.mutex.acquire()
    asyncio.get_running_loop().call_later(2, PROCESS_REDIRECT.shared.mutex.release)


async def test_whose_tear_down_waits(a_row: None) -> None:
    pass


async def test_after_it(db_session: AsyncSession) -> None:
    assert await db_session.scalar(text("SELECT count(*) FROM users")) == 0
"""


def test_a_teardown_that_waits_for_a_statement_is_ended_and_leaves_no_rows(sample: Sample) -> None:
    sample.write("tests/test_writes.py", WRITES)

    outcome = sample.pytest("-p", "no:randomly")

    assert "a statement is still running 1 s later. Await it before the test returns." in outcome.output
    assert "2 passed, 1 error" in outcome.output


LIFESPAN = """
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sample.models import User
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import create_async_engine

ENGINE = create_async_engine("postgresql+asyncpg://somebody@nowhere/db")


@asynccontextmanager
async def never_up(app: FastAPI) -> AsyncIterator[None]:
    await asyncio.Event().wait()
    yield


@pytest.fixture(scope="session")
def app() -> FastAPI:
    return FastAPI(lifespan=never_up)


async def test_the_application(client: AsyncClient) -> None:
    pass


@pytest.mark.parametrize("repeat", [1, 2])
async def test_no_fixture_of_the_harness(repeat: int) -> None:
    async with ENGINE.begin() as connection:
        await connection.execute(insert(User).values(email="ada@example.com"))
"""


def test_a_lifespan_that_does_not_start_leaves_later_tests_apart(sample: Sample) -> None:
    sample.write("tests/test_lifespan.py", LIFESPAN)

    outcome = sample.pytest("-p", "no:randomly", "-o", "savepoint_test_timeout_seconds=0.2")

    assert "setup of test_the_application timed out after 2 s" in outcome.output
    assert "2 passed, 1 error" in outcome.output


def test_what_takes_its_time_and_is_right(sample: Sample) -> None:
    sample.write("tests/test_a.py", RIGHT)

    outcome = sample.pytest("-p", "no:randomly", "-o", "savepoint_test_timeout_seconds=1")

    assert "3 passed" in outcome.output, outcome.output


@pytest.mark.parametrize(
    ("setting", "tens"),
    [
        ("test_timeout_seconds=120", 12),
        ("test_timeout_seconds=0", 0),
        ("slow_test_seconds=30", 18),
    ],
)
def test_how_long_a_test_may_take(sample: Sample, setting: str, tens: int) -> None:
    sample.write("tests/test_a.py", LOOKS)

    outcome = sample.pytest("-s", "-o", f"savepoint_{setting}")

    assert f"False: {tens} times ten seconds" in outcome.output, outcome.output
    assert f"True: {tens * 10} times ten seconds" in outcome.output


def test_a_check_has_no_limit_of_slow_test(sample: Sample) -> None:
    outcome = sample.checks("-o", "savepoint_slow_test_seconds=0.000001")

    assert outcome.code == 0, outcome.output


BLOCKED = """
import asyncio
import threading
from pathlib import Path
from httpx import AsyncClient

EVENT = threading.Event()

def block() -> None:
    EVENT.wait()

async def test_blocked(client: AsyncClient) -> None:
    await asyncio.to_thread(block)

async def test_after_it(client: AsyncClient) -> None:
    assert (await client.get("/health")).status_code == 200
"""

# After the report has been printed, the thread may end.
UNBLOCK = """
import sys
import pytest

@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    sys.modules["tests.test_a"].EVENT.set()
"""


def test_a_thread_that_is_left_blocked_is_named(sample: Sample) -> None:
    sample.write("unblock.py", UNBLOCK)
    sample.write("tests/test_a.py", BLOCKED)

    outcome = sample.pytest("-p", "no:randomly", "-p", "unblock", "-o", "savepoint_test_timeout_seconds=2")

    assert "1 failed, 1 passed" in outcome.output, outcome.output
    assert "test_blocked timed out after 2 s" in outcome.output
    assert "A thread is still running (tests/test_a.py:10, in block)" in outcome.output
