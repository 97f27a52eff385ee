"""Fixtures of this repository's tests: the template as it stands, its renders, and environments to run them in."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.postgres import local
from harness.postgres.run_folder import RunFolder
from harness.postgres.server import Server
from pytest_copie.plugin import Copie

from tests import interpreters, postgres_majors, quick_renders
from tests.environment import keep_bytecode
from tests.releases import HistoryError
from tests.rendering import Render, locked, snapshot
from tests.upgrades import history as histories
from tests.upgrades.history import History

# Run by a pytest of their own, under the harness.
collect_ignore = ["existing/services", "harness/cases"]

# Set by .ci/run: any of "postgres", "python", "docker", "pgbouncer" and "renovate". What is missing is a skip, or has a
# stand-in, on a laptop; there it is a failure.
REQUIRED = set(filter(None, os.environ.get("SAVEPOINT_REQUIRE", "").split(",")))


def pytest_configure() -> None:
    quick_renders.enable()


def pytest_unconfigure() -> None:
    keep_bytecode()


def pytest_report_header() -> list[str]:
    absent = [version for version in interpreters.WANTED if not interpreters.found(version)]
    pythons = ", ".join(version for version in interpreters.WANTED if version not in absent)
    majors = ", ".join(f"{major} ({postgres_majors.installed(major) or 'npm'})" for major in postgres_majors.RELEASES)
    stand_in = f"; {' and '.join(absent)} not found, {interpreters.OLDEST} takes their place" if absent else ""
    return [f"variants: Python {pythons}{stand_in}", f"variants: PostgreSQL {majors}, 18 (the project's wheel)"]


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all workers of this run share."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def template(shared: Path) -> Path:
    """The template as it stands in the working tree, as a repository with one commit."""
    target = shared / "template"
    with locked(shared, "template"):
        return target if target.exists() else snapshot(target)


@pytest.fixture(scope="session")
def render(template: Path, copie_session: Copie, shared: Path) -> Render:
    """`render(auth=False)`: a project with these answers and defaults for the rest, not to be written into."""
    return Render(template, copie_session, shared)


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """The template with its releases, each worker's own."""
    try:
        return histories.make(tmp_path_factory.mktemp("history") / "savepoint")
    except HistoryError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def environments(shared: Path, worker_id: str) -> Path:
    """A folder for this worker's virtual environments: one for each Python, synced to one project after the other."""
    return shared / "environments" / worker_id


@pytest.fixture(scope="session")
def environment(environments: Path) -> Path:
    """This worker's environment of the oldest Python, which whoever uses it syncs first."""
    return environments / interpreters.OLDEST


@pytest.fixture(scope="session")
def default_python() -> Path:
    """The oldest interpreter that is supported."""
    python = interpreters.found(interpreters.OLDEST)
    assert python, f"Python {interpreters.OLDEST} is what the default project runs on; uv finds none"
    return python


@pytest.fixture(scope="session")
def run_folder() -> Iterator[RunFolder]:
    """The folder of a server that is nobody's run."""
    folder = RunFolder.make()
    yield folder
    folder.close()


@pytest.fixture(scope="session")
def server(run_folder: RunFolder) -> Server:
    """A PostgreSQL 18 that a TEST_DATABASE_URL can name, `with_password` its one role that needs one."""
    server = local.start(run_folder, 18)
    hba = run_folder.path / "data" / "pg_hba.conf"
    hba.write_text(f"local all with_password scram-sha-256\n{hba.read_text()}")
    with server.connect() as connection:
        connection.execute("CREATE ROLE with_password LOGIN CREATEDB PASSWORD 's3cret'")
        connection.execute("CREATE ROLE without_right LOGIN")
        connection.execute("SELECT pg_reload_conf()")
    return server


@pytest.fixture(scope="session")
def url(server: Server) -> str:
    """What TEST_DATABASE_URL says to name that server."""
    return f"postgresql://postgres@/postgres?host={server.host}"
