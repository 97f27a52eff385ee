"""`governed_tests`: a suite that has a database of its own moves over step by step."""

from pathlib import Path

import psycopg
import pytest

from tests.mistakes.catalogue import Edit
from tests.mistakes.project import Changed, Outcome

pytestmark = pytest.mark.xdist_group("existing")

OLD = """
import os

import pytest
from app.main import app
from app.models import Base, Book
from httpx import ASGITransport, AsyncClient
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="session")
async def engine(anyio_backend):
    engine = create_async_engine(os.environ["OLD_DATABASE_URL"])
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield engine
    async with AsyncSession(engine) as session:
        session.add(Book(title=f"{__name__}: end of the run"))
        await session.commit()
    await engine.dispose()


@pytest.fixture(scope="module")
async def module_row(engine):
    yield
    async with AsyncSession(engine) as session:
        session.add(Book(title=f"{__name__}: end of the module"))
        await session.commit()


@pytest.mark.parametrize("number", range(3))
async def test_that_commits(engine, module_row, number):
    async with AsyncSession(engine) as session:
        session.add(Book(title=f"{__name__}: {number}"))
        await session.commit()
        assert (await session.scalar(select(func.current_database()))) == "postgres"
"""

NEW = """
import pytest
from app.models import Book
from sqlalchemy import func, select

pytestmark = pytest.mark.anyio


async def test_of_the_harness(client, db_session):
    assert (await client.post("/books", json={"title": "new"})).status_code == 201
    assert await db_session.scalar(select(func.count()).select_from(Book)) == 1
    assert (await db_session.scalar(select(func.current_database()))).startswith("savepoint_")
"""


@pytest.fixture
def moving(service: Changed, url: str) -> Changed:
    """The service with tests that are governed, and older tests that have a database of their own."""
    Edit("pyproject.toml", "base_url", 'governed_tests = ["tests/test_new.py"]\nbase_url').make(service.folder)
    (service.folder / "tests" / "test_books.py").unlink()
    (service.folder / "tests" / "test_a_old.py").write_text(OLD)
    (service.folder / "tests" / "test_new.py").write_text(NEW)
    (service.folder / "tests" / "test_z_old.py").write_text(OLD)
    return service


@pytest.fixture
def old_url(url: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS books")
    return url


def run(service: Changed, old_url: str, *arguments: str) -> Outcome:
    return service.pytest(*arguments, OLD_DATABASE_URL=old_url.replace("postgresql://", "postgresql+asyncpg://"))


def titles(old_url: str) -> list[str]:
    with psycopg.connect(old_url) as connection:
        return [title for (title,) in connection.execute("SELECT title FROM books ORDER BY title").fetchall()]


@pytest.mark.parametrize("order", [("-p", "no:randomly"), ("-p", "randomly")])
def test_older_tests_keep_their_database(moving: Changed, old_url: str, order: tuple[str, str]) -> None:
    outcome = run(moving, old_url, *order)

    assert outcome.code == 0, outcome.output
    assert len([node for node in outcome.passed if "_old.py" in node]) == 6
    assert titles(old_url) == [
        f"tests.test_{name}_old: {what}"
        for name in ("a", "z")
        for what in ("0", "1", "2", "end of the module", "end of the run")
    ]


MARKED = "import pytest\n\n\n@pytest.mark.own_database\ndef test_of_the_harness(): ...\n"
LATE = "def test_of_the_harness(request):\n    request.getfixturevalue({!r})\n"
IS_NOT = "is not in governed_tests ([tool.savepoint] of pyproject.toml), and uses "


@pytest.mark.parametrize(
    ("code", "used"),
    [
        (NEW, "the fixture db_session and the fixture new_client"),
        (MARKED, "the mark own_database"),
        (LATE.format("db_session"), "the database"),
        (LATE.format("client"), "the database"),
        (LATE.format("running_app"), "the database"),
    ],
    ids=["fixtures", "mark", "db_session", "client", "running_app"],
)
def test_an_older_test_that_uses_the_harness(moving: Changed, old_url: str, code: str, used: str) -> None:
    """It fails alone, and once: neither its teardown nor a governed test that uses the same fixtures fails."""
    (moving.folder / "tests" / "test_mixed.py").write_text(code)

    outcome = run(moving, old_url, "tests/test_mixed.py", "tests/test_new.py")

    [(test, said)] = outcome.failed.items()
    assert test == "tests/test_mixed.py::test_of_the_harness"
    assert f"{IS_NOT}{used} of the harness. Add its path" in said
    assert "KeyError" not in said
    assert outcome.passed == ["tests/test_new.py::test_of_the_harness"]


RAW = """
import os

import psycopg
import pytest

pytest_plugins = ["tests.harness"]


@pytest.fixture(scope="session")
def raw():
    with psycopg.connect(os.environ["OLD_DATABASE_URL"].replace("+asyncpg", ""), autocommit=True) as connection:
        yield connection
"""
CREATES = "def test_it(raw):\n    raw.execute('CREATE TABLE IF NOT EXISTS {} ()')\n"


def test_a_driver_s_connection_that_an_older_test_has_opened(moving: Changed, old_url: str) -> None:
    (moving.folder / "conftest.py").write_text(RAW)
    (moving.folder / "tests" / "test_a_old.py").write_text(CREATES.format("books"))
    (moving.folder / "tests" / "test_new.py").write_text(CREATES.format("of_the_governed"))

    outcome = run(moving, old_url, "tests/test_a_old.py", "tests/test_new.py")

    assert outcome.passed == ["tests/test_a_old.py::test_it"]
    [said] = outcome.failed.values()
    assert said.startswith("The fixture raw: A connection was opened by a fixture of a test that is not in governed")
    with psycopg.connect(old_url) as connection:
        assert connection.execute("SELECT to_regclass('of_the_governed')").fetchone() == (None,)


def test_older_tests_run_first_in_each_worker(moving: Changed, old_url: str) -> None:
    """pytest-xdist would begin with the files that have the most tests."""
    for name in ("a_old", "z_old", "new"):
        (moving.folder / "tests" / f"test_{name}.py").unlink()
    (moving.folder / "tests" / "test_old.py").write_text("def test_old(): ...\n")
    many = "import pytest\n\n\n@pytest.mark.parametrize('number', range(3))\ndef test_many(number): ...\n"
    for name in ("new", "other"):
        (moving.folder / "tests" / f"test_{name}.py").write_text(many)
    both = "governed_tests = ['tests/test_new.py', 'tests/test_other.py']"
    Edit("pyproject.toml", 'governed_tests = ["tests/test_new.py"]', both).make(moving.folder)

    outcome = run(moving, old_url, "tests", "--ignore=tests/harness", "-n", "2", "-v", "--dist", "loadfile")

    [old] = [line for line in outcome.output.splitlines() if "PASSED" in line and "test_old.py" in line]
    worker = old.partition(" ")[0]
    assert next(line for line in outcome.output.splitlines() if "PASSED" in line and line.startswith(worker)) == old

    refused = run(moving, old_url, "-n", "2", "--dist", "worksteal")

    assert refused.code == 4
    assert "governed_tests: --dist worksteal would run tests that are not governed after" in refused.output


def test_a_path_that_does_not_exist(service: Changed, tmp_path: Path) -> None:
    Edit("pyproject.toml", "base_url", 'governed_tests = ["tests/api"]\nbase_url').make(service.folder)

    outcome = service.pytest()

    assert "pyproject.toml: [tool.savepoint]: governed_tests: no file or folder tests/api" in outcome.output


LAZY = """
import functools, os
import pytest
from app.models import Base, Book
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

pytestmark = pytest.mark.anyio


@functools.lru_cache
def get_engine():
    return create_async_engine(os.environ["OLD_DATABASE_URL"])


@pytest.fixture(scope="session")
async def session(anyio_backend):
    async with get_engine().begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(get_engine()) as session:
        yield session


async def add(session):
    session.add(Book(title="written"))
    await session.commit()
"""


@pytest.mark.parametrize("kept", ["engine", "session"])
def test_what_an_older_test_has_opened(moving: Changed, old_url: str, kept: str) -> None:
    """An engine that the first test creates, with a connection in its pool, and a session that a fixture keeps."""
    tests = moving.folder / "tests"
    (moving.folder / "conftest.py").write_text(f'{LAZY}\npytest_plugins = ["tests.harness"]\n')
    of_engine = "async with AsyncSession(get_engine()) as session:\n        "
    uses, asks = ("", "session") if kept == "session" else (of_engine, "")
    names = "AsyncSession, Base, add, get_engine"
    prelude = f"import pytest\nfrom conftest import {names}\n\npytestmark = pytest.mark.anyio\n\n\n"
    create = "connection = await session.connection()\n        await connection.run_sync(Base.metadata.create_all)"
    old = "await session.connection()" if kept == "session" else f"{create}\n        await session.commit()"
    (tests / "test_a_old.py").write_text(f"{prelude}async def test_old({asks}):\n    {uses}{old}\n")
    (tests / "test_z_old.py").unlink()
    (tests / "test_new.py").write_text(f"{prelude}async def test_new({asks}):\n    {uses}await add(session)\n")

    outcome = run(moving, old_url, "tests/test_a_old.py", "tests/test_new.py")

    assert titles(old_url) == []
    said = "".join(outcome.failed.values())
    refusal = "A connection was opened by a fixture of a test that is not in governed_tests"
    assert (refusal in said) is (kept == "session"), outcome.output
    assert len(outcome.passed) == (1 if kept == "session" else 2), outcome.output
