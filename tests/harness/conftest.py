"""A project to try the harness in, and a server to point it at."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.postgres import local
from harness.postgres.run_folder import RunFolder
from harness.postgres.server import Server

from tests.environment import Project, synced
from tests.harness.sample import ANSWERS, Sample
from tests.rendering import Render


@pytest.fixture(scope="session")
def sample_project(render: Render, environments: Path, default_python: Path) -> Project:
    """The sample, rendered and installed, once per worker."""
    folder = render.copy(environments / "sample", **ANSWERS)
    return synced(folder, environments / "sample-environment", default_python)


@pytest.fixture
def sample(sample_project: Project, tmp_path: Path) -> Sample:
    """The sample without its own tests, for one test to write into."""
    return Sample.of(sample_project, tmp_path / "sample")


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


@pytest.fixture
def url(server: Server) -> str:
    """What TEST_DATABASE_URL says to name that server."""
    return f"postgresql://postgres@/postgres?host={server.host}"
