"""Connections are refused while conftest.py imports the application: the harness listens before."""

import pytest
from harness.postgres.server import Server

from tests.harness.sample import Sample

A_TEST = """
from httpx import AsyncClient

async def test_a_user(client: AsyncClient) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201
"""

# At the end of the application's module, for `DSN` of a developer's `.env`.
CONNECTS = {
    "an engine": """
from sqlalchemy import create_engine, text
with create_engine("postgresql+psycopg" + DSN).begin() as connection:
    connection.execute(text("DELETE FROM users"))
""",
    "an asynchronous engine": """
import asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
async def delete() -> None:
    async with create_async_engine("postgresql+asyncpg" + DSN).begin() as connection:
        await connection.execute(text("DELETE FROM users"))
asyncio.run(delete())
""",
    "psycopg": """
import psycopg
with psycopg.connect("postgresql" + DSN) as connection:
    connection.execute("DELETE FROM users")
""",
    "asyncpg, by its name": """
import asyncio
from asyncpg import connect
async def delete() -> None:
    await (await connect("postgresql" + DSN)).execute("DELETE FROM users")
asyncio.run(delete())
""",
}


@pytest.fixture
def env(server: Server) -> str:
    """The end of a URL of a developer's database, with five rows."""
    with server.connect() as connection:
        connection.execute("DROP DATABASE IF EXISTS developers WITH (FORCE)")
        connection.execute("CREATE DATABASE developers")
    with server.connect("developers") as connection:
        connection.execute("CREATE TABLE users AS SELECT id FROM generate_series(1, 5) id")
    return f"://postgres@/developers?host={server.host}"


def rows(server: Server) -> object:
    with server.connect("developers") as connection:
        return connection.execute("SELECT count(*) FROM users").fetchone()


@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize("how", CONNECTS)
def test_a_connection_of_a_module_of_the_application(
    sample: Sample, server: Server, env: str, how: str, workers: str
) -> None:
    main = sample.folder / "src" / "sample" / "main.py"
    main.write_text(f"{main.read_text()}\nDSN = {env!r}\n{CONNECTS[how]}")
    sample.write("tests/test_a.py", A_TEST)

    outcome = sample.pytest_from_start("-n", workers)

    assert outcome.code != 0
    assert rows(server) == (5,)
    assert "NoTestDatabaseError: A connection to PostgreSQL was requested (src/sample/main.py:" in outcome.output
    assert "Code that connects at import must connect in the lifespan" in outcome.output


def test_a_project_without_the_import_in_tests(sample: Sample, server: Server, env: str) -> None:
    """`tests/__init__.py` belongs to the project; updates do not change that of 0.3.0."""
    package = 'import pytest\n\npytest.register_assert_rewrite("tests.harness")\n'
    sample.write("tests/__init__.py", package)
    sample.write("tests/test_a.py", A_TEST)
    line = "import tests.harness.early  # noqa: F401"
    warning = (
        "savepoint: sample.main was imported before the harness, so its connections were not refused. Write into "
        f"tests/__init__.py: {line}\n"
    )
    main = sample.folder / "src" / "sample" / "main.py"
    application = f"import psycopg\n{main.read_text()}"
    main.write_text(application)

    outcome = sample.pytest_from_start()

    assert "1 passed" in outcome.output, outcome.output
    assert outcome.output.count(warning) == 1, outcome.output

    sample.write("tests/__init__.py", f"{package}\n{line}\n")
    main.write_text(f"{application}\nDSN = {env!r}\n{CONNECTS['psycopg']}")

    outcome = sample.pytest_from_start()

    assert "NoTestDatabaseError: A connection to PostgreSQL was requested (src/sample/main.py:" in outcome.output
    assert rows(server) == (5,)

    main.write_text(application)

    outcome = sample.pytest_from_start()

    assert "1 passed" in outcome.output, outcome.output
    assert "savepoint:" not in outcome.output


def test_a_conftest_above_the_tests(sample: Sample, server: Server, env: str) -> None:
    """It is imported before `tests`, and loads the first part of the harness itself."""
    main = sample.folder / "src" / "sample" / "main.py"
    application = f"import psycopg\n{main.read_text()}"
    main.write_text(application)
    sample.write("conftest.py", "import sample.main\n")
    sample.write("tests/test_a.py", A_TEST)

    outcome = sample.pytest_from_start()

    assert "1 passed" in outcome.output, outcome.output
    line = "import tests.harness.early  # noqa: F401  # isort: skip"
    assert f"not refused. Write into conftest.py, before other imports: {line}\n" in outcome.output

    main.write_text(f"{application}\nDSN = {env!r}\n{CONNECTS['psycopg']}")
    sample.write("conftest.py", f"{line}\nimport sample.main\n")

    outcome = sample.pytest_from_start()

    assert "NoTestDatabaseError: A connection to PostgreSQL was requested (src/sample/main.py:" in outcome.output
    assert rows(server) == (5,)


@pytest.mark.parametrize("option", ["--help", "--fixtures", "--collect-only", "--version"])
def test_a_run_without_a_test(sample: Sample, option: str) -> None:
    sample.write("tests/test_a.py", A_TEST)

    outcome = sample.pytest_from_start(option)

    assert outcome.code == 0, outcome.output


IN_A_PROCESS = """
import os
import subprocess
import sys
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

SCRIPT = '''
import os
import tests.harness
import psycopg
print(psycopg.connect(os.environ["DSN"]).info.dbname)
'''

@pytest.mark.own_database
async def test_a_process(engine: AsyncEngine) -> None:
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    command, env = [sys.executable, "-c", SCRIPT], {**os.environ, "DSN": url}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.stdout.strip() == engine.url.database, done.stderr
"""


def test_a_process_that_imports_the_tests_may_connect(sample: Sample) -> None:
    sample.write("tests/test_a.py", IN_A_PROCESS)

    outcome = sample.pytest_from_start()

    assert "1 passed" in outcome.output, outcome.output
