"""In a deployment, a migration does not wait long for a lock: env.py tries it again, and names who holds the lock."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from harness.postgres.server import Server

from tests.harness.sample import Sample
from tests.preloaded import run_module

HEADER = '''
"""{0}

Revision ID: {0}
Revises: {1}
"""
import sqlalchemy as sa
from alembic import op
revision = "{0}"
down_revision = "{1}"

def upgrade() -> None:
'''
ADDED = '    op.add_column("users", sa.Column("{0}", sa.String()))\n'
BLOCK = "    with op.get_context().autocommit_block():\n"
CONCURRENTLY = BLOCK + '        op.create_index("ix_{0}", "users", ["email"], postgresql_concurrently=True)\n'
DEADLOCK = """    op.execute("DO 'BEGIN RAISE deadlock_detected; END'")\n"""
# No pause is long, and no attempt ends before the test has released the lock.
SHORT, LONG = ("-x", "lock_timeout=100ms", "-x", "lock_attempts=3"), ("-x", "lock_timeout=60s")


@pytest.fixture
def deployed(sample: Sample, server: Server) -> Iterator[Sample]:
    """The sample, with a database at its revision 0001."""
    name = "deployed"
    with server.connect() as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE {name}".encode())
    url = server.url(name, "asyncpg").render_as_string(hide_password=False)
    project = Sample(sample.folder, {**sample.env, "DATABASE_URL": url})
    upgrade(project, "0001").check_returncode()
    yield project
    with server.connect() as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def deployer(server: Server) -> Iterator[str]:
    """A role that is no superuser, dropped after its database."""
    with server.connect() as connection:
        connection.execute(b"CREATE ROLE deployer LOGIN")
        try:
            yield "deployer"
        finally:
            connection.execute(b"DROP ROLE deployer")


@pytest.fixture
def holder(deployed: Sample, server: Server) -> Iterator[psycopg.Connection[Any]]:
    """A transaction of another program that has read the table."""
    with server.connect("deployed") as connection:
        connection.autocommit = False
        connection.execute("SET application_name = 'nightly report'")
        connection.execute("SELECT count(*) FROM users")
        yield connection


def revision(project: Sample, name: str, after: str, *body: str) -> None:
    text = HEADER.format(name, after) + "".join(line.format(name) for line in body)
    (project.folder / "migrations" / "versions" / f"{name}.py").write_text(text)


def upgrade(project: Sample, revision: str, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return run_module(project, "alembic", *arguments, "upgrade", revision, **env)


def begin(project: Sample, *arguments: str, until: str = "Waiting for a lock.") -> "subprocess.Popen[str]":
    """Begin to upgrade, and return when the upgrade waits for the lock."""
    running = subprocess.Popen(
        [project.python, "-m", "alembic", *arguments, "upgrade", "head"],
        cwd=project.folder,
        env=project.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert running.stdout is not None
    assert any(until in line for line in running.stdout)
    return running


def rest(running: "subprocess.Popen[str]") -> tuple[int, str]:
    output, _ = running.communicate(timeout=120)
    return running.returncode, output


def test_the_holder_of_the_lock_is_named(deployed: Sample, holder: psycopg.Connection[Any]) -> None:
    revision(deployed, "0002", "0001", ADDED)

    done = upgrade(deployed, "head", *SHORT)

    pid = holder.info.backend_pid
    assert done.returncode == 255
    assert done.stdout.count("Rolled back. Attempt") == 2
    assert "ALTER TABLE users ADD COLUMN" in done.stdout
    assert "Attempt 3 of 3, each waits for 100 ms." in done.stdout
    assert f'Held by PID {pid}: idle in transaction, user postgres, application "nightly report"' in done.stdout
    assert f"SELECT count(*) FROM users. To end it: SELECT pg_terminate_backend({pid})" in done.stdout
    assert "Traceback" not in done.stdout


def test_what_the_user_may_not_see_is_left_out(
    deployer: str, deployed: Sample, holder: psycopg.Connection[Any], server: Server
) -> None:
    for table in ("users", "alembic_version"):
        holder.execute(f"ALTER TABLE {table} OWNER TO {deployer}".encode())
    holder.execute(f"GRANT ALL ON SCHEMA public TO {deployer}".encode())
    holder.commit()
    holder.execute("SELECT count(*) FROM users")
    revision(deployed, "0002", "0001", ADDED)
    url = server.url("deployed", "asyncpg").set(username=deployer).render_as_string(hide_password=False)

    done = upgrade(deployed, "head", *SHORT, DATABASE_URL=url)

    held = (
        f'Held by PID {holder.info.backend_pid}: user postgres, application "nightly report": <insufficient privilege>'
    )
    assert held in done.stdout


def test_a_prepared_transaction_holds_the_lock(deployed: Sample, holder: psycopg.Connection[Any]) -> None:
    """PostgreSQL shows it as PID 0, and in no row of pg_stat_activity."""
    env = (deployed.folder / "migrations" / "env.py").read_text()
    assert "unnest(pg_blocking_pids(:pid))" in env
    deployed.write("migrations/env.py", env.replace("pg_blocking_pids(:pid)", "ARRAY[0 * cast(:pid AS integer)]"))
    revision(deployed, "0002", "0001", ADDED)

    done = upgrade(deployed, "head", *SHORT)

    assert "Held by a prepared transaction: SELECT gid, owner, prepared FROM pg_prepared_xacts." in done.stdout


def test_ctrl_c_ends_the_pause_before_an_attempt(deployed: Sample) -> None:
    revision(deployed, "0002", "0001", DEADLOCK)
    running = begin(deployed, "-x", "lock_timeout=300s", until="Rolled back. Attempt 2 of 5 in 300 s.")

    running.send_signal(signal.SIGINT)

    code, output = rest(running)
    assert code != 0
    assert output.rstrip().endswith("KeyboardInterrupt")


def test_an_attempt_succeeds_when_the_lock_is_free(deployed: Sample, holder: psycopg.Connection[Any]) -> None:
    revision(deployed, "0002", "0001", ADDED)
    revision(deployed, "0003", "0002", ADDED)
    running = begin(deployed, "-x", "lock_timeout=1s", "-x", "lock_attempts=8")
    assert running.stdout is not None
    assert any("Rolled back. Attempt 2 of 8" in line for line in running.stdout)

    holder.commit()

    assert rest(running)[0] == 0
    assert holder.execute("SELECT version_num FROM alembic_version").fetchall() == [("0003",)]


def test_a_lock_that_is_released_in_time_needs_one_attempt(deployed: Sample, holder: psycopg.Connection[Any]) -> None:
    revision(deployed, "0002", "0001", ADDED)
    running = begin(deployed, *LONG)

    holder.commit()

    code, output = rest(running)
    assert (code, "Rolled back" in output) == (0, False)


def test_a_revision_that_is_partly_committed_is_not_tried_again(
    deployed: Sample, holder: psycopg.Connection[Any]
) -> None:
    revision(deployed, "0002", "0001", CONCURRENTLY, ADDED)

    done = upgrade(deployed, "head", *SHORT)

    assert done.returncode == 255
    assert "Rolled back" not in done.stdout
    assert "A part of what the command does is committed." in done.stdout


def test_a_revision_after_such_a_revision_is_tried_again(deployed: Sample, holder: psycopg.Connection[Any]) -> None:
    revision(deployed, "0002", "0001", CONCURRENTLY)
    revision(deployed, "0003", "0002", ADDED)

    done = upgrade(deployed, "head", *SHORT)

    assert done.stdout.count("Rolled back. Attempt") == 2
    assert "committed" not in done.stdout


def test_a_relative_upgrade_is_not_tried_again_after_its_first_revision(
    deployed: Sample, holder: psycopg.Connection[Any]
) -> None:
    revision(deployed, "0002", "0001", '    op.create_table("shops", sa.Column("id", sa.Integer()))\n')
    revision(deployed, "0003", "0002", ADDED)
    revision(deployed, "0004", "0003", ADDED)

    done = upgrade(deployed, "+2", *SHORT)

    assert done.returncode == 255
    assert "A part of what the command does is committed." in done.stdout
    assert holder.execute("SELECT version_num FROM alembic_version").fetchall() == [("0002",)]


def test_concurrently_has_no_limit(deployed: Sample, holder: psycopg.Connection[Any]) -> None:
    """It waits for every transaction that writes to the table, and blocks none."""
    holder.execute("LOCK TABLE users IN ROW EXCLUSIVE MODE")
    revision(deployed, "0002", "0001", CONCURRENTLY)
    running = begin(deployed, *SHORT)

    holder.commit()

    code, output = rest(running)
    assert (code, "Rolled back" in output) == (0, False), output


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            "lock_timeout=5 parsecs",
            "lock_timeout, in alembic.ini or after -x: not a duration such as 5s or 500ms: 5 pa",
        ),
        ("lock_attempts=no", "lock_attempts, in alembic.ini or after -x: not a positive number: no"),
    ],
)
def test_a_setting_that_is_wrong(deployed: Sample, option: str, message: str) -> None:
    done = upgrade(deployed, "head", "-x", option)

    assert done.returncode == 255
    assert message in done.stdout
    assert "Traceback" not in done.stdout


def test_tests_do_not_have_it(sample: Sample, tmp_path: Path) -> None:
    sample.write(
        "tests/test_a.py",
        "from tests.harness import MigrationHistory\n\n"
        "def test_statements(migration_history: MigrationHistory) -> None:\n"
        "    [statements] = migration_history.statements.values()\n"
        "    assert [line for line in statements if 'users' in line]\n"
        "    assert [line for line in statements if 'lock_timeout' in line] == []\n",
    )

    assert "1 passed" in sample.pytest().output
