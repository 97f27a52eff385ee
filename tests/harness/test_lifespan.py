"""The message of a lifespan that fails: the first error comes first, with its place, then the errors that followed."""

import pytest

from tests.harness.sample import Sample

TEST = """
from httpx import AsyncClient
async def test_health(client: AsyncClient) -> None:
    await client.get("/health")
"""

LIFESPAN = """

async def close() -> None:
    raise OSError("already closed")

async def listen(queue: str) -> None:
    raise LookupError(f"no queue {{queue}}")

async def begin() -> None:
{begin}

own_lifespan = lifespan

@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    async with own_lifespan(app) as state:
        await begin()
        yield state
"""

IN_FINALLY = """
    try:
        await listen("mail")
    finally:
        await close()
"""

AFTER = """
    stack = contextlib.AsyncExitStack()
    async with stack:
        stack.push_async_callback(close)
        await listen("mail")
"""

FROM = """
    try:
        await listen("mail")
    except LookupError as error:
        raise RuntimeError("no broker") from error
"""

GROUP = """
    async with asyncio.TaskGroup() as group:
        group.create_task(listen("mail"))
        group.create_task(listen("post"))
"""

OF_A_LIBRARY = """
    getattr(starlette.datastructures.State(), "broker")
"""


def error_of(sample: Sample, begin: str) -> list[str]:
    """The lines of the run's error for this startup of the lifespan, without line numbers."""
    main = sample.folder / "src" / "sample" / "main.py"
    head, create, rest = main.read_text().partition("\n\ndef create_app")
    assert create
    body = LIFESPAN.format(begin=begin.strip("\n"))
    main.write_text(f"import asyncio\nimport contextlib\nimport starlette.datastructures\n{head}{body}{create}{rest}")
    sample.write("tests/test_a.py", TEST)
    outcome = sample.pytest()
    assert outcome.code != 0
    return outcome.error.splitlines()


def where(lines: list[str], *words: str) -> list[int]:
    """The indexes of the lines that contain these words; each must be in exactly one line."""
    return [next(number for number, line in enumerate(lines) if word in line) for word in words]


@pytest.mark.parametrize("begin", [IN_FINALLY, AFTER])
def test_an_error_hidden_by_cleanup(sample: Sample, begin: str) -> None:
    lines = error_of(sample, begin)

    assert "The lifespan of the application 'Sample' failed with LookupError: no queue mail" in lines[0]
    order = where(
        lines, "no queue mail", ", in listen", "During handling or cleanup: OSError: already closed", ", in close"
    )
    assert order == sorted(order)
    assert all("src/sample/main.py:" in lines[order[index]] for index in (1, 3))


def test_an_error_with_a_cause(sample: Sample) -> None:
    lines = error_of(sample, FROM)

    assert "failed with RuntimeError: no broker" in lines[0]
    order = where(lines, "no broker", "Caused by LookupError: no queue mail", ", in listen")
    assert order == sorted(order)


def test_all_errors_of_a_group(sample: Sample) -> None:
    lines = error_of(sample, GROUP)

    assert "failed with LookupError: no queue mail" in lines[0]
    assert where(lines, "and with LookupError: no queue post")
    assert sum(", in listen" in line for line in lines) == 2


def test_errors_inside_of_libraries_are_left_out(sample: Sample) -> None:
    lines = error_of(sample, OF_A_LIBRARY)

    assert "failed with AttributeError: " in lines[0]
    assert not any("KeyError" in line for line in lines)
    assert where(lines, ", in begin")


AT_ITS_END = """

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

own_lifespan = lifespan

@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    async with own_lifespan(app) as state:
        yield state
    engine = create_async_engine("postgresql+asyncpg://nobody@localhost/nowhere")
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE stopped AS SELECT now() AS at"))
        print("stopped:", await connection.scalar(text("SELECT count(*) FROM stopped")))
    await engine.dispose()
"""


WORKER = """

import asyncio
from sqlalchemy import text

own_lifespan = lifespan

async def work(state: State, queue: asyncio.Queue[asyncio.Event]) -> None:
    while True:
        done = await queue.get()
        async with state["session_factory"].begin() as session:
            await session.execute(text("INSERT INTO users (email) VALUES ('worker@example.com')"))
        done.set()

@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    async with own_lifespan(app) as state:
        app.state.queue = asyncio.Queue()
        worker = asyncio.create_task(work(state, app.state.queue), name="worker")
        yield state
        worker.cancel()
        await asyncio.wait({worker})
"""

WAITS_FOR_IT = """
import asyncio
import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

@pytest.mark.parametrize("mode", ["savepoint", pytest.param("own", marks=pytest.mark.own_database)])
async def test_waits(client: AsyncClient, app: FastAPI, db_session: AsyncSession, mode: str) -> None:
    await db_session.execute(text("INSERT INTO users (email) VALUES ('mine@example.com')"))
    app.state.queue.put_nowait(done := asyncio.Event())
    await done.wait()
    await db_session.commit()
"""


def test_a_timeout_says_which_task_of_the_lifespan_waits(sample: Sample) -> None:
    main = sample.folder / "src" / "sample" / "main.py"
    head, create, rest = main.read_text().partition("\n\ndef create_app")
    main.write_text(head + WORKER + create + rest)
    sample.write("tests/test_a.py", WAITS_FOR_IT)

    outcome = sample.pytest("-p", "no:randomly", "-o", "savepoint_test_timeout_seconds=3")

    assert "1 failed, 1 passed" in outcome.output, outcome.output
    assert "Waiting transaction: task worker of the lifespan, at src/sample/main.py:" in outcome.output
    assert "until db_session commits or rolls back its uncommitted changes" in outcome.output
    assert "@pytest.mark.own_database" in outcome.output


SCHEDULER = """

import asyncio
import asyncpg
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

own_lifespan = lifespan
STORE = create_engine("postgresql+psycopg://nobody@localhost/nowhere")

def due(statement: str) -> None:
    with STORE.begin() as connection:
        connection.execute(text(statement))

async def schedule(app: FastAPI) -> None:
    while True:
        tick = await app.state.ticks.get()
        await asyncio.to_thread(due, "SELECT count(*) FROM users")
        connection = await asyncpg.connect("postgresql://nobody@localhost/nowhere")
        await connection.fetch("SELECT count(*) FROM users")
        await connection.close()
        try:
            await asyncio.to_thread(due, "INSERT INTO users (email) VALUES ('store@example.com')")
        except DBAPIError as error:
            app.state.errors.append(error.orig.sqlstate)
        tick.set()

@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    async with own_lifespan(app) as state:
        app.state.ticks, app.state.errors = asyncio.Queue(), []
        scheduler = asyncio.create_task(schedule(app))
        yield state
        scheduler.cancel()
        await asyncio.wait({scheduler})
        await asyncio.to_thread(due, "INSERT INTO users (email) VALUES ('end@example.com')")
        STORE.dispose()
"""

SCHEDULED = """
import asyncio
import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sample.main import STORE
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

MODES = [pytest.param("own", marks=pytest.mark.own_database), "savepoint"]

@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("mode", MODES)
async def test_scheduled(client: AsyncClient, app: FastAPI, db_session: AsyncSession, mode: str, number: int) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201
    app.state.ticks.put_nowait(tick := asyncio.Event())
    await tick.wait()
    assert await db_session.scalar(text("SELECT count(*) FROM users")) == (2 if mode == "own" else 1)
    assert app.state.errors == ([] if mode == "own" else ["25006"] * number)

async def test_the_same_engine(client: AsyncClient) -> None:
    with STORE.connect() as connection:
        connection.execute(text("SELECT 1"))
"""


def test_a_scheduler_with_a_synchronous_engine(sample: Sample) -> None:
    main = sample.folder / "src" / "sample" / "main.py"
    head, create, rest = main.read_text().partition("\n\ndef create_app")
    main.write_text(head + SCHEDULER + create + rest)
    sample.write("tests/test_a.py", SCHEDULED)

    outcome = sample.pytest("-p", "no:randomly")

    assert "1 failed, 4 passed in " in outcome.output, outcome.output
    assert "test_the_same_engine" in outcome.output
    assert "guard escaped_commit: a test" in outcome.output


def test_a_lifespan_that_writes_at_its_end(sample: Sample) -> None:
    main = sample.folder / "src" / "sample" / "main.py"
    head, create, rest = main.read_text().partition("\n\ndef create_app")
    main.write_text(head + AT_ITS_END + create + rest)
    sample.write("tests/test_a.py", TEST)

    outcome = sample.pytest("-s", "-o", "savepoint_test_timeout_seconds=5")

    assert "stopped: 1" in outcome.output, outcome.output
    assert "1 passed" in outcome.output
