"""TEST_DATABASE_URL: the server is used or rejected, and its databases are not changed."""

import subprocess
from dataclasses import replace

import pytest
from harness.database.databases import WorkerDatabases
from harness.database.ownership import MARK, RUN_COMMENT, last_used
from harness.postgres.server import Server

from tests.harness.sample import Sample

A_TEST = """
from httpx import AsyncClient
async def test_a_user(client: AsyncClient) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201
async def test_nothing_of_the_other_database(client: AsyncClient) -> None:
    assert (await client.get("/users/1")).status_code == 404
"""

UTC_TEST = """
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
async def test_time_zone(db_session: AsyncSession) -> None:
    assert await db_session.scalar(text("SHOW timezone")) == "UTC"
    assert await db_session.scalar(text("SELECT 'Z' < 'a'")) is True
"""

AN_APP_WITH_ITS_OWN_SETTINGS = """
import pytest
from fastapi import FastAPI
from sample.main import create_app
@pytest.fixture(scope="session")
def app() -> FastAPI:
    return create_app()
"""

REFUSED = {
    "not a URL": ("nonsense", "not a PostgreSQL URL"),
    "another scheme": ("mysql://u:s3cret@localhost/db", "not a PostgreSQL URL"),
    "an invalid port": ("postgresql://u:s3cret@localhost:abc/db", "not a PostgreSQL URL"),
    "a password that is not escaped": (
        "postgresql://u:s3cret@a:b/c@localhost/db",
        "In a user or a password, write @ as %40",
    ),
    "an unsupported option": ("postgresql://u:s3cret@/db?application_name=x", "?application_name= is not"),
    "no server": ("postgresql://u:s3cret@127.0.0.1:1/postgres", "Connection refused"),
    "no such host": ("postgresql://u:s3cret@nowhere.invalid/postgres", "nowhere.invalid"),
    "no such socket": ("postgresql://u:s3cret@/postgres?host=/nowhere", "No such file or directory"),
    "a wrong password": (
        "postgresql://with_password:not-s3cret@/postgres?host={host}",
        "password authentication failed",
    ),
    "no password": ("postgresql://with_password@/postgres?host={host}", "no password supplied"),
    "no right to create databases": (
        "postgresql://without_right:s3cret@/postgres?host={host}",
        'role "without_right" cannot create databases. Run as a superuser: ALTER ROLE "without_right" CREATEDB',
    ),
}


@pytest.mark.parametrize(("value", "words"), REFUSED.values(), ids=REFUSED)
def test_an_unusable_server_is_rejected_in_one_line(sample: Sample, server: Server, value: str, words: str) -> None:
    sample.write("tests/test_a.py", A_TEST)

    outcome = sample.pytest(TEST_DATABASE_URL=value.format(host=server.host))

    assert outcome.code != 0
    assert words in outcome.error
    assert outcome.error.startswith("postgres: TEST_DATABASE_URL: ")
    assert len(outcome.error.splitlines()) == 1
    assert "s3cret" not in outcome.output
    assert "Traceback" not in outcome.output


def test_another_major_version_is_rejected_in_one_line(sample: Sample, url: str) -> None:
    sample.write("tests/test_a.py", A_TEST)

    outcome = sample.pytest("-o", "savepoint_postgres_version=17", TEST_DATABASE_URL=url)

    assert outcome.code != 0
    assert "the server is PostgreSQL 18.6, but postgres_version in pyproject.toml is 17." in outcome.error
    assert len(outcome.error.splitlines()) == 1


def test_postgres_url_requires_the_variable(sample: Sample) -> None:
    sample.write("tests/test_a.py", A_TEST)

    assert sample.pytest("--postgres", "url").error == "postgres: --postgres url: TEST_DATABASE_URL is not set."


@pytest.mark.parametrize("named_by", ["TEST_DATABASE_URL", ".env"])
@pytest.mark.parametrize("workers", ["0", "2"])
def test_an_existing_database_keeps_its_rows(
    sample: Sample, server: Server, url: str, named_by: str, workers: str
) -> None:
    with server.connect() as connection:
        connection.execute("DROP DATABASE IF EXISTS precious")
        connection.execute("CREATE DATABASE precious")
    with server.connect("precious") as connection:
        connection.execute(
            "CREATE TABLE users AS SELECT id, id || '@example.com' AS email FROM generate_series(1, 50) id"
        )
    theirs = url.replace("/postgres?", "/precious?")
    sample.write("tests/test_a.py", A_TEST)
    if named_by == ".env":
        sample.write("tests/test_a.py", AN_APP_WITH_ITS_OWN_SETTINGS + A_TEST)
        sample.write(".env", f"DATABASE_URL={theirs.replace('postgresql:', 'postgresql+asyncpg:')}\n")

    env = {"TEST_DATABASE_URL": theirs} if named_by == "TEST_DATABASE_URL" else {}
    outcome = sample.pytest("-n", workers, **env)

    assert "2 passed" in outcome.output, outcome.output
    with server.connect("precious") as connection:
        assert connection.execute("SELECT count(*), max(id) FROM users").fetchone() == (50, 50)
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (1,)


def test_only_the_template_database_is_left_on_an_existing_server(sample: Sample, server: Server, url: str) -> None:
    sample.write("tests/test_a.py", A_TEST)
    (sample.folder / "migrations" / "versions" / "note.txt").write_text("Only this test has this schema.")
    before = databases(server)

    first, second = (sample.pytest("-n", workers, TEST_DATABASE_URL=url) for workers in ("0", "2"))

    assert "2 passed" in first.output, first.output
    assert "2 passed" in second.output, second.output
    # One database: the second run has used it again.
    [name] = databases(server) - before
    assert name.startswith("savepoint_template_")


def databases(server: Server) -> set[str]:
    with server.connect() as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}


def test_a_template_unused_for_a_week_is_dropped(sample: Sample, server: Server, url: str) -> None:
    sample.write("tests/test_a.py", A_TEST)
    old, young, of_an_older_harness = (f"savepoint_template_{letter * 16}" for letter in "abc")
    with server.connect() as connection:
        for name, comment in (
            (old, f"{MARK}last used 2020-01-01"),
            (young, last_used()),
            (of_an_older_harness, "last used 2020-01-01"),
        ):
            connection.execute(f"CREATE DATABASE {name}".encode())
            connection.execute(f"COMMENT ON DATABASE {name} IS '{comment}'".encode())

    outcome = sample.pytest(TEST_DATABASE_URL=url)

    assert old not in databases(server)
    assert databases(server) >= {young, of_an_older_harness}
    assert f"1 without the harness's comment ({of_an_older_harness})" in outcome.output
    with server.connect() as connection:
        connection.execute(f"DROP DATABASE {young}".encode())
        connection.execute(f"DROP DATABASE {of_an_older_harness}".encode())


def test_a_template_is_rebuilt_while_other_runs_use_it(sample: Sample, url: str) -> None:
    sample.write(
        "tests/test_a.py",
        A_TEST.replace("async def", "@pytest.mark.own_database\nasync def").replace(
            "from httpx", "import pytest\nfrom httpx"
        ),
    )
    environment = {**sample.env, "TEST_DATABASE_URL": url}

    runs = [
        subprocess.Popen(command, cwd=sample.folder, env=environment, stdout=subprocess.PIPE, text=True)
        for command in [sample.command("--create-db", "-n", "2")] * 3
    ]

    for run in runs:
        output, _ = run.communicate(timeout=300)
        assert "2 passed" in output, output


def test_an_incomplete_template_is_dropped(sample: Sample, server: Server, url: str) -> None:
    sample.write("tests/test_a.py", A_TEST)
    with server.connect() as connection:
        connection.execute("CREATE DATABASE savepoint_template_0123456789abcdef")
        connection.execute(f"COMMENT ON DATABASE savepoint_template_0123456789abcdef IS '{RUN_COMMENT}'".encode())

    outcome = sample.pytest(TEST_DATABASE_URL=url)

    assert "2 passed" in outcome.output, outcome.output
    with server.connect() as connection:
        query = "SELECT count(*) FROM pg_database WHERE datname = 'savepoint_template_0123456789abcdef'"
        assert connection.execute(query).fetchone() == (0,)


def test_a_worker_drops_only_its_databases(server: Server) -> None:
    first, tenth = WorkerDatabases(server, "0123abcd_gw1"), WorkerDatabases(server, "0123abcd_gw10")
    tenth.create_empty()
    # As on a server that exists before the run.
    first.server = replace(server, source="url")

    first.create_empty()
    first.close()

    with server.connect() as connection:
        query = "SELECT datname FROM pg_database WHERE starts_with(datname, 'savepoint_0123abcd')"
        assert connection.execute(query).fetchall() == [("savepoint_0123abcd_gw10_1",)]
    tenth.drop("savepoint_0123abcd_gw10_1")
    tenth.close()


def test_the_servers_time_zone_and_locale_are_ignored(sample: Sample, server: Server, url: str) -> None:
    sample.write("tests/test_a.py", UTC_TEST)
    with server.connect() as connection:
        connection.execute("ALTER SYSTEM SET timezone = 'Asia/Tokyo'")
        connection.execute("SELECT pg_reload_conf()")

    outcome = sample.pytest(TEST_DATABASE_URL=url)

    assert "1 passed" in outcome.output, outcome.output


def test_createdb_is_the_only_required_privilege(sample: Sample, server: Server) -> None:
    sample.write("tests/test_a.py", A_TEST)

    outcome = sample.pytest(TEST_DATABASE_URL=f"postgresql://with_password:s3cret@/postgres?host={server.host}")

    assert "2 passed" in outcome.output, outcome.output
    assert "18.6 from TEST_DATABASE_URL" in outcome.output
