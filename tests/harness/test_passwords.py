"""No output contains the password of the server, not even with all frames, their variables and all captured output."""

from pathlib import Path

import pytest
from harness.postgres.server import Server

from tests.harness.sample import Sample
from tests.harness.test_url import A_TEST, REFUSED

TESTS = """
import logging
import os
import warnings
from collections.abc import AsyncIterator

import asyncpg
import psycopg
import pytest
from httpx import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from tests.harness import Create


@pytest.fixture
async def broken(anyio_backend: str, db_session: AsyncSession) -> None:
    await db_session.execute(text("SELECT nothing"))


@pytest.fixture
async def broken_at_its_end(anyio_backend: str, db_session: AsyncSession) -> AsyncIterator[None]:
    yield
    await db_session.execute(text("SELECT nothing"))


@pytest.mark.own_database
async def test_a_failing_connection(engine: AsyncEngine) -> None:
    other = create_async_engine(engine.url, connect_args={"server_settings": {"nothing": "1"}})
    async with other.connect():
        pass


@pytest.mark.own_database
async def test_a_failing_connection_of_psycopg(engine: AsyncEngine) -> None:
    other = create_async_engine(
        engine.url.set(drivername="postgresql+psycopg"), connect_args={"options": "-c nothing=1"}
    )
    async with other.connect():
        pass


@pytest.mark.own_database
async def test_a_failing_driver(engine: AsyncEngine) -> None:
    await asyncpg.connect(engine.url.set(drivername="postgresql").render_as_string(hide_password=False), database="x")


async def test_a_failing_setup(broken: None) -> None: ...


async def test_a_failing_teardown(broken_at_its_end: None) -> None: ...


async def test_a_failing_statement(client: AsyncClient, engine: AsyncEngine) -> None:
    url = engine.url.render_as_string(hide_password=False)
    async with engine.begin() as connection:
        await connection.execute(text("SELECT nothing"))


async def test_a_failing_assertion(engine: AsyncEngine) -> None:
    url = engine.url.render_as_string(hide_password=False)
    assert url == os.environ["TEST_DATABASE_URL"], url


@pytest.mark.own_database
async def test_an_error_of_a_cause(engine: AsyncEngine) -> None:
    try:
        psycopg.connect(engine.url.set(drivername="postgresql", database="x").render_as_string(hide_password=False))
    except psycopg.Error as error:
        raise ExceptionGroup(f"at {engine.url.render_as_string(hide_password=False)}", [error]) from error


def test_an_expected_failure(engine: AsyncEngine) -> None:
    pytest.xfail(engine.url.render_as_string(hide_password=False))


async def test_that_passes(engine: AsyncEngine) -> None:
    print(engine.url.render_as_string(hide_password=False))
    logging.getLogger("sample").warning("connecting to %s", engine.url.render_as_string(hide_password=False))
"""
EVERYTHING = ("--full-trace", "--showlocals", "-rA", "--junitxml=junit.xml")


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_report_has_no_password(sample: Sample, server: Server, workers: str) -> None:
    sample.write("tests/test_a.py", TESTS)
    url = f"postgresql://with_password:s3cret@/postgres?host={server.host}"

    outcome = sample.pytest(*EVERYTHING, "-n", workers, TEST_DATABASE_URL=url)

    assert "6 failed, 2 passed, 1 xfailed, 2 errors" in outcome.output, outcome.output
    assert "s3cret" not in outcome.output
    assert "s3cret" not in (sample.folder / "junit.xml").read_text()
    # It is the password that was removed, not the variables: drivers have it in several frames.
    assert outcome.output.count("***") > 20


def test_a_password_of_a_file(sample: Sample, server: Server, tmp_path: Path) -> None:
    sample.write("tests/test_a.py", TESTS)
    (tmp_path / "passwords").write_text("*:*:*:with_password:s3cret\n")
    (tmp_path / "passwords").chmod(0o600)
    url = f"postgresql://with_password@/postgres?host={server.host}"

    outcome = sample.pytest(*EVERYTHING, TEST_DATABASE_URL=url, PGPASSFILE=str(tmp_path / "passwords"))

    assert "6 failed, 2 passed, 1 xfailed, 2 errors" in outcome.output, outcome.output
    assert "s3cret" not in outcome.output
    assert "s3cret" not in (sample.folder / "junit.xml").read_text()


@pytest.mark.parametrize("name", [name for name, (value, _) in REFUSED.items() if "s3cret" in value])
def test_a_server_that_cannot_be_used(sample: Sample, server: Server, name: str) -> None:
    sample.write("tests/test_a.py", A_TEST)
    value, words = REFUSED[name]

    outcome = sample.pytest(*EVERYTHING, TEST_DATABASE_URL=value.format(host=server.host))

    assert words in outcome.error, outcome.output
    assert "s3cret" not in outcome.output
    assert "s3cret" not in Path(sample.folder / "junit.xml").read_text()


FAILING_MIGRATION = "def upgrade() -> None:\n    op.execute('SELECT nothing')\n"


def test_a_failing_migration(sample: Sample, server: Server) -> None:
    sample.write("tests/test_a.py", A_TEST)
    revision = min((sample.folder / "migrations" / "versions").glob("*.py"))
    revision.write_text(revision.read_text().replace("def upgrade() -> None:\n", FAILING_MIGRATION))
    url = f"postgresql://with_password:s3cret@/postgres?host={server.host}"

    outcome = sample.pytest(*EVERYTHING, TEST_DATABASE_URL=url)

    assert "nothing" in outcome.error, outcome.output
    assert "s3cret" not in outcome.output


COMMON = """
import os
import pytest

def test_a() -> None:
    url = os.environ["TEST_DATABASE_URL"]
    arguments = {"user": "postgres", "password": "postgres"}
    assert "the user postgres" == ""
"""


NAMED = """
from sample.main import create_app

def test_a() -> None:
    arguments = {"user": "sample", "password": "sample"}
    assert create_app.__module__ == "/src/sample/main.py"
"""


def test_a_password_that_is_the_name_of_the_service(sample: Sample, server: Server) -> None:
    """As in many a compose.yaml."""
    sample.write("tests/test_a.py", NAMED)
    url = f"postgresql://postgres:sample@/postgres?host={server.host}"

    outcome = sample.pytest(*EVERYTHING, TEST_DATABASE_URL=url)

    assert "'sample.main' == '/src/sample/main.py'" in outcome.output, outcome.output
    assert "'password': '***'" in outcome.output
    assert "postgres:sample" not in outcome.output


def test_a_password_that_is_a_word_is_masked_only_as_a_password(sample: Sample, server: Server) -> None:
    sample.write("tests/test_a.py", COMMON)

    outcome = sample.pytest(
        *EVERYTHING, TEST_DATABASE_URL=f"postgresql://postgres:postgres@/postgres?host={server.host}"
    )

    assert "1 failed" in outcome.output
    assert "'the user postgres'" in outcome.output
    assert "postgres:postgres" not in outcome.output
    assert "'postgresql://postgres:***@/postgres?host=" in outcome.output
    assert "{'user': 'postgres', 'password': '***'}" in outcome.output or "'password': '***'" in outcome.output
