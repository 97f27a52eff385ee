"""The PostgreSQL server of a run: found when the first test needs it, and shared by all workers."""

import os
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import URL

from ..connections.process import REDIRECT
from ..core.exception_chain import chain
from ..core.network_access import NETWORK_ACCESS
from ..core.progress import announce, showing_progress
from ..core.run import add_to_summary, stop_run, worker_input
from ..core.settings import settings_of
from ..postgres import find
from ..postgres.server import NoServerError, Server
from ..postgres.settings import with_options
from ..transaction.refusals import IsolationError
from .migration_errors import MigrationError
from .template import DATABASES, schema_of

if TYPE_CHECKING:
    from ..postgres.run_folder import RunFolder

FOLDER = pytest.StashKey["RunFolder"]()
USED = pytest.StashKey[Server]()

NOT_OF_TEST = (
    'A test requested database "{}" from `postgres_server` or `migrations`{}. They commit what they write, so they '
    "connect only to the database of `empty_database_name` and, in a test with @pytest.mark.own_database, to "
    "`engine.url.database`. Use one of these databases."
)


@dataclass(frozen=True, kw_only=True)
class ServerOfTests(Server):
    """The server as tests get it: it connects only to databases of the current test."""

    config: pytest.Config = field(repr=False)

    def url(self, database: str, driver: str = "asyncpg") -> URL:
        """The URL of a database of this test; raises `IsolationError` for another one."""
        self._raise_if_not_of_test(database)
        return super().url(database, driver)

    def connect(self, database: str | None = None) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection to a database of this test; raises `IsolationError` for another one."""
        self._raise_if_not_of_test(database or self.maintenance_database)
        return super().connect(database)

    def libpq_url(self, database: str) -> URL:
        """The same, with libpq's parameters."""
        self._raise_if_not_of_test(database)
        return super().libpq_url(database)

    def _raise_if_not_of_test(self, database: str) -> None:
        databases = self.config.stash.get(DATABASES, None)
        if databases is None or database not in databases.of_test:
            raise IsolationError(NOT_OF_TEST.format(database, self.config.stash[REDIRECT].place()))


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config, _server: Server) -> Server:
    """A PostgreSQL server of the project's major version; tests connect to their own databases on it."""
    return ServerOfTests(**asdict(_server), config=pytestconfig)


@pytest.fixture(scope="session")
def _server(pytestconfig: pytest.Config) -> Server:
    """The server of the run, with all its databases."""
    access = pytestconfig.stash[NETWORK_ACCESS]
    try:
        with access.unchecked():
            server = find_server(pytestconfig)
    except NoServerError as error:
        stop_run(pytestconfig, f"postgres: {error}")
    # A driver connects to the address of a name, or to the name.
    hosts = {server.host, server.parameters.get("hostaddr", server.host)}
    access.allowed += [f"[{host}]:{server.port}" for host in hosts]
    pytestconfig.stash[USED] = server
    add_to_summary(pytestconfig, "server", f"postgres: {described(server)}")
    return server


def find_server(config: pytest.Config) -> Server:
    """The server of the run, which is started if it has to be, once for all workers.

    Raises:
        NoServerError: there is none.
        psycopg.Error: an error of the server while the schema was prepared.
    """
    choice, major = config.getoption("postgres"), _major(config)
    if not find.starts_server(choice):
        return find.find(choice, major, {})
    if os.name == "nt":
        raise NoServerError("on Windows, set TEST_DATABASE_URL or run the tests in WSL.")
    from ..postgres import docker, local

    folder, image = run_folder(config), settings_of(config).postgres_image
    options = with_options(settings_of(config).postgres_options)
    with folder.locked():
        if server_of_run := folder.read_json("server.json"):
            return Server(**server_of_run)
        if failure := folder.read_json("failure.json"):
            kind = psycopg.OperationalError if failure["is_of_server"] else NoServerError
            raise kind(failure["message"]) from (MigrationError(failure["migration"]) if failure["migration"] else None)
        try:
            with showing_progress(config) as say:
                starters = {
                    "local": partial(local.start, folder, schema=schema_of(config), options=options, say=say),
                    "docker": partial(
                        docker.start, folder, image=image, options=options, announce=partial(announce, config)
                    ),
                }
                server = find.find(choice, major, starters)
        except (NoServerError, psycopg.Error) as error:
            migration = next((str(found) for found in chain(error) if isinstance(found, MigrationError)), None)
            failure = {"message": str(error), "is_of_server": isinstance(error, psycopg.Error), "migration": migration}
            folder.write_json("failure.json", failure)
            raise
        folder.write_json("server.json", asdict(server))
    return server


def _major(config: pytest.Config) -> int:
    major = settings_of(config).postgres_version
    if not major:
        raise NoServerError(
            "postgres_version is not set. Under [tool.savepoint] of pyproject.toml, write the major version that "
            "runs in production: postgres_version = 18"
        )
    return major


def run_folder(config: pytest.Config) -> "RunFolder":
    """The folder of this run. A worker of pytest-xdist uses the controller's folder."""
    from ..postgres.run_folder import RunFolder

    if FOLDER not in config.stash:
        path = worker_input(config).get("savepoint_folder")
        folder = RunFolder(Path(path)) if path else RunFolder.make()
        config.stash[FOLDER] = folder
        config.add_cleanup(folder.close)
    return config.stash[FOLDER]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Pass the folder of the run to a new worker of pytest-xdist."""
    if find.starts_server(node.config.getoption("postgres")) and os.name != "nt":
        node.workerinput["savepoint_folder"] = str(run_folder(node.config).path)


def pytest_report_header(config: pytest.Config) -> str:
    version = settings_of(config).postgres_version or "version not set"
    return f"postgres: {version}, {find.describe(config.getoption('postgres'))}"


def described(server: Server) -> str:
    """The version of a server, and where it comes from."""
    place = f", data in {Path(server.host).parent}" if server.source == "local" else ""
    return f"{server.version} from {server.origin}{place}"
