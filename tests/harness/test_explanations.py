"""An error that looks like another is explained: where it came from, however deep it is, and what to write instead."""

import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests.environment import Project
from tests.harness.sample import Sample

# The cases are run once for all tests that look at what they said, and not by each worker.
pytestmark = pytest.mark.xdist_group("explanations")

CASES = Path(__file__).with_name("cases")

OPTION = "select(User).options(selectinload(User.namesakes))"
REFRESH = 'await session.refresh(user, ["namesakes"])'

EXPLAINED = {
    "test_a_pool_of_one[{}]": ["all connections of an engine's pool are checked out", "`await db_session.commit()`"],
    "test_route[response-model-{}]": [
        "GET /response-model read User.namesakes, which was not loaded",
        "  tests/test_cases.py:",
        ", in response_model, whose return value was converted to its response model",
        OPTION,
        REFRESH,
    ],
    "test_route[page-{}]": [
        "GET /page read User.namesakes",
        OPTION,
        "if a relationship loads User, append to its option: .selectinload(User.namesakes)",
    ],
    "test_route[validated-{}]": [
        "GET /validated read User.namesakes",
        "  tests/test_cases.py:",
        ", in validated",
        OPTION,
    ],
    "test_route[read-{}]": ["GET /read read User.namesakes", "  tests/test_cases.py:", ", in read", OPTION, REFRESH],
    "test_route[raised-again-{}]": ["GET /raised-again read User.namesakes", "  tests/test_cases.py:", OPTION],
    "test_route[in-a-group-{}]": [
        "GET /in-a-group read User.namesakes",
        "  tests/test_cases.py:",
        ", in count",
        OPTION,
    ],
    "test_route[expired-{}]": ["GET /expired read User.email", "await session.refresh(user)", "expire_on_commit=False"],
    "test_route[deferred-{}]": ["GET /deferred read User.note", "select(User).options(undefer(User.note))"],
    "test_route[swallowed-{}]": ["An earlier statement failed, its error was caught", "begin_nested()"],
    "test_in_the_test_itself[{}]": [
        "the test read User.namesakes",
        "  tests/test_cases.py:",
        ", in test_in_the",
        OPTION,
    ],
    "test_synchronously[{}]": ["outside of an `await`", "  tests/test_cases.py:", "await session.run_sync("],
}
LOOP = "test_without_a_database"


@pytest.fixture(scope="module")
def failures(sample_project: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each case of `explained.py` that fails in its call is reported as."""
    sample = Sample.of(sample_project, tmp_path_factory.mktemp("explained") / "sample")
    shutil.copy(CASES / "explained.py", sample.folder / "tests" / "test_cases.py")
    # Apart, since a test is tried here for what it says, and not for what it leaves to another.
    return {name: text for mode in ("own", "not own") for name, text in _failures(sample, "-k", mode).items()}


def _failures(sample: Sample, *options: str) -> dict[str, str]:
    outcome = sample.pytest("-p", "no:randomly", "--junit-xml=report.xml", *options)
    report = ElementTree.parse(sample.folder / "report.xml").getroot()  # noqa: S314 - our own pytest wrote it
    found = {
        case.attrib["name"]: failure.text or "" for case in report.iter("testcase") for failure in case.iter("failure")
    }
    assert found, outcome.output
    return found


@pytest.mark.parametrize("mode", ["savepoint", "own"])
@pytest.mark.parametrize("name", EXPLAINED)
def test_it_is_explained(failures: dict[str, str], name: str, mode: str) -> None:
    report = failures[name.format(mode)]

    for words in EXPLAINED[name]:
        assert words in report
    # Once, at the top.
    assert report.count(EXPLAINED[name][0]) == 1
    assert report.startswith(EXPLAINED[name][0]) or "outside of an" in report.splitlines()[0]


def test_another_loop_is_explained(failures: dict[str, str]) -> None:
    report = failures[LOOP]

    assert report.startswith("a connection, a lock or a client was used on the event loop of asyncio.run()")
    assert ", in wait" in report
    assert "write `await wait()` instead of `asyncio.run(wait())`" in report


def test_every_case_was_tried_and_what_a_test_expects_keeps_its_frames(failures: dict[str, str]) -> None:
    assert failures.keys() == {name.format(mode) for name in EXPLAINED for mode in ("savepoint", "own")} | {LOOP}


TWICE = """
import asyncio
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

ENGINE = create_async_engine("postgresql+asyncpg://somebody@nowhere/db")

async def command() -> None:
    async with ENGINE.connect() as connection:
        await connection.execute(text("SELECT 1"))

@pytest.mark.own_database
def test_twice(engine: AsyncEngine) -> None:
    asyncio.run(command())
    asyncio.run(command())
"""


def test_an_engine_on_two_loops_is_named(sample: Sample) -> None:
    sample.write("tests/test_a.py", TWICE)

    outcome = sample.pytest()

    assert "tests.test_a.ENGINE was used on the event loop of asyncio.run()" in outcome.output, outcome.output
    assert "  tests/test_a.py:11, in command" in outcome.output
    assert "write `await command()` instead of `asyncio.run(command())`" in outcome.output
    assert "@pytest.mark.own_database" in outcome.output


ADVICE = (
    TWICE.partition("@pytest.mark")[0]
    + """
async def on_its_own() -> None:
    engine = create_async_engine("postgresql+asyncpg://somebody@nowhere/db")
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
    await engine.dispose()

async def test_awaited(engine: AsyncEngine) -> None:
    await command()
    await command()

@pytest.mark.own_database
def test_with_an_engine_of_its_own(engine: AsyncEngine) -> None:
    asyncio.run(on_its_own())
    asyncio.run(on_its_own())
"""
)


def test_what_the_advice_says_works(sample: Sample) -> None:
    sample.write("tests/test_a.py", ADVICE)

    outcome = sample.pytest()

    assert "2 passed" in outcome.output, outcome.output
    assert outcome.code == 0, outcome.output


WITHOUT_LIFESPAN = """
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from httpx import ASGITransport, AsyncClient

BOTH = pytest.mark.parametrize("mode", ["savepoint", pytest.param("own", marks=pytest.mark.own_database)])

@BOTH
async def test_transport(app: FastAPI, mode: str) -> None:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        await client.get("/users/1")

@BOTH
def test_testclient(app: FastAPI, mode: str) -> None:
    TestClient(app).get("/users/1")

@BOTH
async def test_what_no_lifespan_sets(app: FastAPI, client: AsyncClient, mode: str) -> None:
    @app.get("/wrong")
    async def wrong(request: Request) -> None:
        request.state.nothing

    await client.get("/wrong")

@BOTH
async def test_as_it_says(asgi_app: object, mode: str) -> None:
    async with AsyncClient(transport=ASGITransport(asgi_app), base_url="http://test") as client:
        assert (await client.get("/users/1")).status_code == 404

@pytest.mark.own_database
def test_as_it_says_too(app: FastAPI) -> None:
    with TestClient(app) as client:
        assert client.get("/users/1").status_code == 404
"""


def test_a_client_that_has_not_run_the_lifespan(sample: Sample) -> None:
    sample.write("tests/test_a.py", WITHOUT_LIFESPAN)

    outcome = sample.pytest("-p", "no:randomly")

    assert "6 failed, 3 passed" in outcome.output, outcome.output
    assert outcome.output.count("\nthe application's state has no `session_factory`. If the lifespan sets it:") == 4
    assert "has no `nothing`" not in outcome.output


WIDER = """
import asyncio

import asyncpg
import psycopg
import pytest
from httpx import AsyncClient
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

DSN = "postgresql://nobody@localhost/nowhere"
INSERT = "INSERT INTO users (email) VALUES ('ada@example.com')"

def synchronous() -> None:
    with create_engine("postgresql+psycopg://nobody@localhost/nowhere").begin() as connection:
        connection.execute(text(INSERT))

async def asynchronous() -> None:
    async with create_async_engine("postgresql+asyncpg://nobody@localhost/nowhere").begin() as connection:
        await connection.execute(text(INSERT))

def by_psycopg() -> None:
    with psycopg.connect(DSN) as connection:
        connection.execute(INSERT)

async def by_asyncpg() -> None:
    await (await asyncpg.connect(DSN)).execute(INSERT)

@pytest.fixture(scope="module")
def by_an_engine() -> None:
    synchronous()

@pytest.fixture(scope="module")
def by_asyncio_run() -> None:
    asyncio.run(asynchronous())

@pytest.fixture(scope="module")
def by_a_driver() -> None:
    by_psycopg()

@pytest.fixture(scope="module")
async def by_an_asynchronous_driver(anyio_backend: str) -> None:
    await by_asyncpg()

async def test_first(client: AsyncClient) -> None: ...

"""


@pytest.mark.parametrize("mark", ["", "@pytest.mark.own_database\n"])
@pytest.mark.parametrize(
    ("fixture", "said"),
    {
        "by_an_engine": "a synchronous engine (psycopg) connects outside of a test, and cannot share the test's",
        "by_asyncio_run": "an engine connects in another thread or event loop than the test's",
        "by_a_driver": "a fixture with a wider scope than function wrote to the database",
        "by_an_asynchronous_driver": "a fixture with a wider scope than function wrote to the database",
    }.items(),
)
def test_a_fixture_of_a_wider_scope(sample: Sample, fixture: str, said: str, mark: str) -> None:
    """It needs no mark, and may have it."""
    test = f"{mark}def test_wider({fixture}: None, client: AsyncClient) -> None: ...\n"
    sample.write("tests/test_a.py", WIDER + test)

    outcome = sample.pytest("-p", "no:randomly")

    assert "1 passed, 1 error" in outcome.output, outcome.output
    assert said in outcome.output
    assert (
        "Give the fixture function scope, or write rows that all tests need in the fixture `seed_data`."
        in outcome.output
    )
    assert "pytest.mark.own_database: it" not in outcome.output


STATEMENTS = """
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

BOTH = pytest.mark.parametrize("mode", ["savepoint", pytest.param("own", marks=pytest.mark.own_database)])
COMMITS = "DO $$ BEGIN COMMIT; END $$"

@BOTH
@pytest.mark.parametrize("statement", ["VACUUM users", COMMITS, "PREPARE TRANSACTION 'one'"])
async def test_statement(engine: AsyncEngine, statement: str, mode: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(statement))

@pytest.mark.own_database
@pytest.mark.parametrize("statement", ["VACUUM users", COMMITS])
async def test_as_it_says(engine: AsyncEngine, statement: str) -> None:
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(text(statement))
"""


def test_a_statement_that_cannot_run_in_a_transaction(sample: Sample) -> None:
    sample.write("tests/test_a.py", STATEMENTS)

    outcome = sample.pytest("-p", "no:randomly")

    assert "6 failed, 2 passed" in outcome.output, outcome.output
    assert outcome.output.count("\nthis statement cannot run in a transaction, and a savepoint test runs in one.") == 2
    assert outcome.output.count("\nthis statement cannot run in a transaction. Run it with AUTOCOMMIT:") == 2
    assert outcome.output.count("\nA two-phase transaction was used") == 1
    assert "prepared transactions are disabled" in outcome.output
