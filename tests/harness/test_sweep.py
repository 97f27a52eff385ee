"""A sweep drops the databases of ended runs of the same role, and no database that is not the harness's."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import psycopg
import pytest
from harness.database import template
from harness.database.databases import WorkerDatabases
from harness.database.ownership import MARK, NotOwnedError
from harness.postgres.server import Server
from psycopg import sql

from tests.harness.sample import Sample
from tests.harness.test_end_of_run import DEADLINE, until

A_TEST = """
from httpx import AsyncClient

async def test_a_user(client: AsyncClient) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201
"""

WAITING = """
import time
from pathlib import Path
import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

@pytest.mark.own_database
async def test_that_waits(client: AsyncClient, engine: AsyncEngine) -> None:
    Path("name.partial").write_text(str(engine.url.database))
    Path("name.partial").rename("name")
    while True:
        time.sleep(0.1)
"""


def names(server: Server) -> set[str]:
    query = "SELECT datname FROM pg_database WHERE datname LIKE 'savepoint%' AND datname NOT LIKE '%template%'"
    with server.connect() as connection:
        return {name for (name,) in connection.execute(query)}


def run(server: Server, statement: str, *names: str) -> None:
    with server.connect() as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def clients(server: Server) -> int:
    """The number of other connections."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    with server.connect() as connection:
        [[number]] = connection.execute(query).fetchall()
        return int(number)


def drop_all(server: Server) -> None:
    for name in names(server):
        run(server, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture
def own(server: Server) -> Iterator[Server]:
    """The server, as if it existed before the run; it has no database of the harness before and after the test."""
    # A run that an earlier test has killed may still be connected, and its last CREATE DATABASE in progress.
    until(lambda: not clients(server))
    drop_all(server)
    yield replace(server, source="url")
    drop_all(server)


@pytest.fixture
def others(own: Server) -> Server:
    """The same server, with a role that is not a superuser."""
    return replace(own, user="with_password", password="s3cret")  # noqa: S106 - of a server of these tests


@pytest.fixture
def begin(own: Server) -> Iterator[Callable[[Server, str], WorkerDatabases]]:
    """Starts runs; `end(begin(server, "0123abcd_gw0"))` ends one as `kill -9` does."""
    begun: list[WorkerDatabases] = []

    def begin(server: Server, owner: str) -> WorkerDatabases:
        begun.append(WorkerDatabases(server, owner))
        return begun[-1]

    yield begin
    for databases in begun:
        with suppress(psycopg.OperationalError):
            databases.close()


Begin = Callable[[Server, str], WorkerDatabases]


def end(databases: WorkerDatabases) -> None:
    databases._maintenance.close()


def test_only_databases_of_ended_runs_of_this_role_are_dropped(own: Server, others: Server, begin: Begin) -> None:
    killed, alive, of_another = begin(own, "aaaaaaaa_gw0"), begin(own, "bbbbbbbb_gw0"), begin(others, "cccccccc_main")
    gone, in_use, of_role = killed.create_empty(), alive.create_empty(), of_another.create_empty()
    run(own, "CREATE DATABASE savepoint_demo")
    run(own, f"COMMENT ON DATABASE savepoint_demo IS '{MARK}'")
    run(own, "CREATE DATABASE savepoint_0123abcd_gw0_7")
    end(killed)
    end(of_another)

    line = begin(own, "dddddddd_main").sweep()

    assert gone not in names(own)
    assert names(own) == {in_use, of_role, "savepoint_demo", "savepoint_0123abcd_gw0_7"}
    assert line == (
        'postgres: databases of ended runs were not dropped: 1 of role "with_password"; '
        "1 without the harness's comment (savepoint_0123abcd_gw0_7)"
    )


@pytest.fixture
def elsewhere(own: Server) -> Iterator[Server]:
    """The same server, for runs whose locks are in another database than `postgres`."""
    run(own, "CREATE DATABASE elsewhere")
    yield replace(own, maintenance_database="elsewhere")
    run(own, "DROP DATABASE elsewhere WITH (FORCE)")


def test_a_lock_of_another_maintenance_database_cannot_be_seen(own: Server, elsewhere: Server, begin: Begin) -> None:
    alive, alive_elsewhere = begin(own, "aaaaaaaa_gw0"), begin(elsewhere, "bbbbbbbb_gw0")
    in_use = {alive.create_empty(), alive_elsewhere.create_empty()}

    begin(own, "cccccccc_main").sweep()
    begin(elsewhere, "dddddddd_main").sweep()

    assert names(own) == in_use
    end(alive_elsewhere)
    begin(elsewhere, "eeeeeeee_main").sweep()
    assert names(own) == {alive.prefix + "_1"}


def test_runs_with_other_maintenance_databases_share_no_template_database(own: Server, elsewhere: Server) -> None:
    digest = SimpleNamespace(value="0123")

    assert template._name(own, digest) != template._name(elsewhere, digest)  # type: ignore[arg-type]  # a value alone


def test_a_database_that_cannot_be_dropped_is_reported(own: Server, others: Server, begin: Begin) -> None:
    killed = begin(others, "aaaaaaaa_gw0")
    kept, gone = killed.create_empty(), killed.create_empty()
    end(killed)

    # Only a superuser can terminate a superuser's connection.
    with own.connect(kept):
        line = begin(others, "bbbbbbbb_main").sweep()

    assert names(own) == {kept}
    assert gone != kept
    assert line is not None
    assert "permission denied to terminate process" in line


def test_only_the_first_worker_sweeps(own: Server, begin: Begin) -> None:
    run(own, "CREATE DATABASE savepoint_0123abcd_gw0_7")

    lines = [begin(own, f"aaaaaaaa_gw{number}").sweep() for number in range(2)]

    assert lines[0] is not None
    assert lines[1] is None


@pytest.mark.parametrize(
    "name",
    ["savepoint_demo", "savepoint_template_demo", "savepoint_0123abcd", "savepoint_0123abcd_gw0_1_backup", "postgres"],
)
def test_a_database_with_another_name_is_never_dropped(own: Server, begin: Begin, name: str) -> None:
    with pytest.raises(ValueError, match=f"only its own databases, not '{name}'"):
        begin(own, "aaaaaaaa_main").drop(name)


def test_a_worker_keeps_databases_without_the_mark_at_its_end(own: Server, begin: Begin) -> None:
    databases = begin(own, "aaaaaaaa_main")
    databases.create_empty()
    run(own, "CREATE DATABASE savepoint_aaaaaaaa_main_notes")
    run(own, "CREATE DATABASE savepoint_aaaaaaaa_main_99")

    databases.close()

    assert names(own) == {"savepoint_aaaaaaaa_main_notes", "savepoint_aaaaaaaa_main_99"}


def test_a_template_database_without_the_mark_is_not_used_or_dropped(own: Server, begin: Begin) -> None:
    name = "savepoint_template_0123456789abcdef"
    run(own, "CREATE DATABASE {} IS_TEMPLATE true", name)

    with (
        pytest.raises(NotOwnedError, match=f'cannot use database "{name}": it has no comment of the harness'),
        begin(own, "aaaaaaaa_main").templates.hold(name),
    ):
        pass

    run(own, "ALTER DATABASE {} IS_TEMPLATE false", name)
    run(own, "DROP DATABASE {}", name)


def test_a_template_database_is_marked_before_it_is_renamed(own: Server, begin: Begin) -> None:
    databases = begin(own, "aaaaaaaa_main")
    name = "savepoint_template_0123456789abcdef"

    with pytest.raises(KeyboardInterrupt), databases.templates.hold(name):
        found = databases._maintenance.find(name)
        raise KeyboardInterrupt

    assert found is not None
    assert found.not_owned_reason is None
    assert databases._maintenance.find(name) is None


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_next_run_of_the_role_sweeps_and_another_role_prints_a_line(
    sample: Sample, own: Server, url: str, workers: str
) -> None:
    sample.write("tests/test_a.py", WAITING)
    killed = subprocess.Popen(
        sample.command(),
        cwd=sample.folder,
        env={**sample.env, "TEST_DATABASE_URL": url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: (sample.folder / "name").exists() or killed.poll() is not None)
        name = (sample.folder / "name").read_text()
        killed.send_signal(signal.SIGKILL)
        killed.wait(DEADLINE)
        until(lambda: not has_connections(own))
        assert name in names(own)
        sample.write("tests/test_a.py", A_TEST + A_TEST.replace("test_a_user", "test_another"))

        of_another = f"postgresql://with_password:s3cret@/postgres?host={own.host}"
        outcome = sample.pytest("-n", workers, TEST_DATABASE_URL=of_another)

        assert "2 passed" in outcome.output, outcome.output
        assert outcome.output.count("databases of ended runs were not dropped") == 1
        assert 'of role "postgres"' in outcome.output
        assert name in names(own)

        outcome = sample.pytest("-n", workers, TEST_DATABASE_URL=url)

        assert "2 passed" in outcome.output, outcome.output
        assert "not dropped" not in outcome.output
        assert names(own) == set()
    finally:
        killed.kill()
        killed.wait()


def has_connections(server: Server) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    with server.connect() as connection:
        return connection.execute(query).fetchone() != (0,)


def test_names_do_not_depend_on_testrunuid(sample: Sample, own: Server, url: str) -> None:
    sample.write("tests/test_a.py", A_TEST)

    outcome = sample.pytest("-n", "1", "--testrunuid", "release", TEST_DATABASE_URL=url)

    assert "1 passed" in outcome.output, outcome.output
    assert names(own) == set()
