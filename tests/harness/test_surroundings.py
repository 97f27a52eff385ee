"""A run does not depend on PG* variables, on settings of the role, or on the database that a URL names."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from harness.connections.shell_variables import VARIABLES
from harness.postgres.server import Server

from tests.harness.own_server import OF_MAJOR, own_server
from tests.harness.sample import Sample

# Each connection of a run: the application's engine, engines of other drivers, and drivers without SQLAlchemy.
TESTS = """
import asyncio
import os
import subprocess
import sys

import asyncpg
import psycopg
import pytest
from httpx import AsyncClient
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession

SHOWN = ("TimeZone", "DateStyle", "statement_timeout", "default_transaction_read_only")
SHOWN += ("IntervalStyle", "default_transaction_isolation")
NORMAL = ["UTC", "ISO, MDY", "0", "off", "postgres", "read committed"]

async def test_a_request(client: AsyncClient) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201

async def test_settings(db_session: AsyncSession) -> None:
    assert [await db_session.scalar(text(f"SHOW {name}")) for name in SHOWN] == NORMAL

@pytest.mark.own_database
async def test_waiting_in_a_transaction(db_session: AsyncSession) -> None:
    await db_session.execute(text("CREATE TABLE a ()"))
    await asyncio.sleep(0.05)
    await db_session.commit()

@pytest.mark.own_database
async def test_asyncpg() -> None:
    connection = await asyncpg.connect("postgresql://nobody@nowhere.invalid/none")
    assert [await connection.fetchval(f"SHOW {name}") for name in SHOWN] == NORMAL
    await connection.close()

@pytest.mark.own_database
def test_psycopg() -> None:
    with psycopg.connect("postgresql://nobody@nowhere.invalid/none") as connection:
        assert [connection.execute(f"SHOW {name}").fetchone()[0] for name in SHOWN] == NORMAL

@pytest.mark.own_database
def test_an_engine_of_psycopg() -> None:
    engine = create_engine("postgresql+psycopg://nobody@nowhere.invalid/none")
    with engine.connect() as connection:
        assert [connection.scalar(text(f"SHOW {name}")) for name in SHOWN] == NORMAL
    engine.dispose()

def test_a_process_of_a_test() -> None:
    code = "import os; print(sorted(name for name in os.environ if name.startswith('PG') and name != 'PGSERVICEFILE'))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
"""
PASSED = 7

# A value of each variable with which a connection to the test server would fail, or would be another.
SHELL = {
    "PGHOSTADDR": "127.0.0.1",
    "PGSERVICE": "nowhere",
    "PGSSLMODE": "require",
    "PGREQUIRESSL": "1",
    "PGSSLNEGOTIATION": "direct",
    "PGSSLCERTMODE": "require",
    "PGSSLMINPROTOCOLVERSION": "nonsense",
    "PGSSLMAXPROTOCOLVERSION": "nonsense",
    "PGREQUIREPEER": "nonsense",
    "PGMINPROTOCOLVERSION": "nonsense",
    "PGMAXPROTOCOLVERSION": "nonsense",
    "PGCHANNELBINDING": "require",
    "PGREQUIREAUTH": "scram-sha-256",
    "PGGSSENCMODE": "require",
    "PGGSSLIB": "nonsense",
    "PGTARGETSESSIONATTRS": "standby",
    "PGLOADBALANCEHOSTS": "nonsense",
    "PGCONNECT_TIMEOUT": "nonsense",
    "PGCLIENTENCODING": "LATIN1",
    "PGOPTIONS": "-c default_transaction_read_only=on",
    "PGDATESTYLE": "German",
    "PGTZ": "Asia/Tokyo",
    "PGGEQO": "off",
}


@pytest.fixture
def tests(sample: Sample) -> Sample:
    sample.write("tests/test_a.py", TESTS)
    return sample


@pytest.mark.parametrize("source", ["local", "url"])
def test_variables_of_the_shell(tests: Sample, url: str, source: str) -> None:
    assert SHELL.keys() == set(VARIABLES)

    outcome = tests.pytest(**SHELL, **({"TEST_DATABASE_URL": url} if source == "url" else {}))

    assert f"{PASSED} passed" in outcome.output, outcome.output


ROLE_SETTINGS = """
ALTER ROLE hasty SET statement_timeout = 2000;
ALTER ROLE hasty SET lock_timeout = 1;
ALTER ROLE hasty SET idle_in_transaction_session_timeout = 1;
ALTER ROLE hasty SET idle_session_timeout = 2000;
ALTER ROLE hasty SET transaction_timeout = 40;
ALTER ROLE hasty SET default_transaction_read_only = on;
ALTER ROLE hasty SET timezone = 'Asia/Tokyo';
ALTER ROLE hasty SET datestyle = 'German, DMY';
ALTER ROLE hasty SET intervalstyle = 'iso_8601';
ALTER ROLE hasty SET default_transaction_isolation = 'serializable'
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_settings_of_the_role(tests: Sample, server: Server, workers: str) -> None:
    # It may own a template database of another run of this test.
    with server.connect() as connection, suppress(psycopg.errors.DuplicateObject):
        connection.execute("CREATE ROLE hasty LOGIN CREATEDB")
    with server.connect() as connection:
        for statement in ROLE_SETTINGS.split(";"):
            connection.execute(statement.encode())

    outcome = tests.pytest("-n", workers, TEST_DATABASE_URL=f"postgresql://hasty@/postgres?host={server.host}")

    assert f"{PASSED} passed" in outcome.output, outcome.output


def maintenance(server: Server, role: str, database: str) -> None:
    """A role that may connect to this database, and not to `postgres`."""
    with server.connect() as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {database}".encode())
        with suppress(psycopg.errors.DuplicateObject):
            connection.execute(f"CREATE ROLE {role} LOGIN CREATEDB".encode())
        connection.execute(f"CREATE DATABASE {database} OWNER {role}".encode())


@pytest.fixture
def guarded(server: Server) -> Iterator[Server]:
    """A server on whose database `postgres` only superusers may connect."""
    with server.connect() as connection:
        connection.execute("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
        try:
            yield server
        finally:
            connection.execute("GRANT CONNECT ON DATABASE postgres TO PUBLIC")


def databases(server: Server) -> set[str]:
    with server.connect() as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database").fetchall()}


def test_the_database_of_the_url_if_postgres_cannot_be_connected_to(tests: Sample, guarded: Server) -> None:
    maintenance(guarded, "tenant", "tenant_base")
    before = databases(guarded)

    outcome = tests.pytest("-n", "2", TEST_DATABASE_URL=f"postgresql://tenant@/tenant_base?host={guarded.host}")

    assert f"{PASSED} passed" in outcome.output, outcome.output
    [template] = databases(guarded) - before
    with replace(guarded, user="tenant").connect("tenant_base") as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
    with guarded.connect() as connection:
        connection.execute(f"ALTER DATABASE {template} IS_TEMPLATE false".encode())
        connection.execute(f"DROP DATABASE {template}".encode())


def test_without_a_database_that_can_be_connected_to(sample: Sample, guarded: Server) -> None:
    maintenance(guarded, "tenant", "tenant_base")
    sample.write("tests/test_a.py", TESTS)

    outcome = sample.pytest(TEST_DATABASE_URL=f"postgresql://tenant@/postgres?host={guarded.host}")

    assert outcome.error.startswith("postgres: TEST_DATABASE_URL: ")
    assert 'permission denied for database "postgres"' in outcome.error
    assert len(outcome.error.splitlines()) == 1


TLS_TESTS = """
import psycopg
import pytest
from sqlalchemy import text

IS_TLS = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"

async def test_the_application(db_session) -> None:
    assert await db_session.scalar(text(IS_TLS))

@pytest.mark.own_database
def test_psycopg() -> None:
    with psycopg.connect("postgresql://nobody@nowhere.invalid/none") as connection:
        assert connection.execute(IS_TLS).fetchone() == (True,)
        assert connection.info.get_parameters()["channel_binding"] == "require"

async def test_the_harness(postgres_server) -> None:
    assert dict(postgres_server.parameters)["sslmode"] == "verify-full"
"""


ACCESS = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n"


@dataclass(frozen=True)
class OverTls:
    """A server that accepts connections over TLS alone: its port, and the file of its certificate."""

    port: int
    certificate: Path


@pytest.fixture
def over_tls(readable: Path) -> Iterator[OverTls]:
    certificate, key = readable / "server.crt", readable / "server.key"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*make, *names], check=True, capture_output=True)
    key.chmod(0o600)
    options = {"listen_addresses": "127.0.0.1", "ssl": "on", "ssl_cert_file": certificate, "ssl_key_file": key}
    with own_server(readable, options, lambda data: (data / "pg_hba.conf").write_text(ACCESS)) as port:
        with psycopg.connect(host=str(readable), port=port, user="postgres", autocommit=True) as connection:
            connection.execute("CREATE ROLE over_tls LOGIN CREATEDB PASSWORD 's3cret'")
        yield OverTls(port, certificate)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_tls_with_a_root_certificate_and_channel_binding(sample: Sample, over_tls: OverTls, workers: str) -> None:
    """As managed services have it in their URLs; the root is none of the system's."""
    sample.write("tests/test_a.py", TLS_TESTS)
    options = f"sslmode=verify-full&sslrootcert={over_tls.certificate}&channel_binding=require&connect_timeout=30"

    url = f"postgresql://over_tls:s3cret@localhost:{over_tls.port}/postgres?{options}"
    outcome = sample.pytest("-n", workers, "-o", OF_MAJOR, TEST_DATABASE_URL=url)

    assert "3 passed" in outcome.output, outcome.output


def test_the_address_of_a_name_that_has_none(tests: Sample, over_tls: OverTls) -> None:
    """`hostaddr` is libpq's; asyncpg does not have it."""
    url = f"postgresql://over_tls:s3cret@nowhere.invalid:{over_tls.port}/postgres?hostaddr=127.0.0.1&sslmode=require"
    url += "&connect_timeout=0"  # no limit
    outcome = tests.pytest("-o", OF_MAJOR, TEST_DATABASE_URL=url)

    assert f"{PASSED} passed" in outcome.output, outcome.output


def test_the_address_of_a_name_that_the_certificate_is_for(tests: Sample, over_tls: OverTls) -> None:
    url = f"postgresql://over_tls:s3cret@localhost:{over_tls.port}/postgres?hostaddr=127.0.0.1"
    url += f"&sslmode=verify-full&sslrootcert={over_tls.certificate}"
    outcome = tests.pytest("-o", OF_MAJOR, TEST_DATABASE_URL=url)

    assert f"{PASSED} passed" in outcome.output, outcome.output


def test_a_wrong_root_certificate_is_one_line(sample: Sample, over_tls: OverTls, readable: Path) -> None:
    sample.write("tests/test_a.py", TLS_TESTS)
    options = f"sslmode=verify-full&sslrootcert={over_tls.certificate}"

    # The certificate is not one for this address.
    url = f"postgresql://over_tls:s3cret@127.0.0.1:{over_tls.port}/postgres?{options}"
    outcome = sample.pytest("-o", OF_MAJOR, TEST_DATABASE_URL=url)

    assert outcome.error.startswith("postgres: TEST_DATABASE_URL: ")
    assert "does not match host name" in outcome.error
    assert len(outcome.error.splitlines()) == 1


def test_a_service(tests: Sample, server: Server) -> None:
    """Its password is in the file; the file is read once, so that asyncpg gets what libpq does."""
    service = f"[ours]\nhost={server.host}\nuser=with_password\npassword=s3cret\ndbname=nowhere\n"
    tests.write("services.conf", service)

    url = "postgresql:///postgres?service=ours"
    outcome = tests.pytest(TEST_DATABASE_URL=url, PGSERVICEFILE=str(tests.folder / "services.conf"))

    assert f"{PASSED} passed" in outcome.output, outcome.output


def test_a_file_of_passwords(tests: Sample, server: Server) -> None:
    tests.write("passwords", "*:*:*:with_password:s3cret\n")
    (tests.folder / "passwords").chmod(0o600)

    url = f"postgresql://with_password@/postgres?host={server.host}&passfile={tests.folder / 'passwords'}"
    outcome = tests.pytest(TEST_DATABASE_URL=url)

    assert f"{PASSED} passed" in outcome.output, outcome.output


def test_certificates_of_the_system_in_the_shell(tests: Sample, readable: Path) -> None:
    """With this variable, libpq refuses a server without TLS."""
    with own_server(readable, {"listen_addresses": "127.0.0.1"}) as port:
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        outcome = tests.pytest("-o", OF_MAJOR, TEST_DATABASE_URL=url, PGSSLROOTCERT="system")

    assert f"{PASSED} passed" in outcome.output, outcome.output


def test_options_of_the_url(sample: Sample, server: Server) -> None:
    """They precede the harness's, and the application's precede them."""
    sample.write("tests/test_a.py", OPTIONS_TESTS)

    url = f"postgresql://postgres@/postgres?host={server.host}&options=-c%20work_mem%3D1234kB"
    outcome = sample.pytest(TEST_DATABASE_URL=url)

    assert "2 passed" in outcome.output, outcome.output


OPTIONS_TESTS = """
import psycopg
import pytest
from sqlalchemy import text

async def test_asyncpg(db_session) -> None:
    assert await db_session.scalar(text("SHOW work_mem")) == "1234kB"
    assert await db_session.scalar(text("SHOW lock_timeout")) == "10s"

@pytest.mark.own_database
def test_psycopg() -> None:
    with psycopg.connect("postgresql://nobody@nowhere.invalid/none", options="-c work_mem=99kB") as connection:
        assert connection.execute("SHOW work_mem").fetchone() == ("99kB",)
        assert connection.execute("SHOW lock_timeout").fetchone() == ("10s",)
"""
