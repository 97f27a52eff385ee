"""The template database: the schema, built by the migrations, and built again only when they change.

`alembic upgrade head` runs in a database whose name is a hash of everything that could change the schema; each worker
gets a clone. `create_all` is not used: it would hide every difference between the models and the migrations.
"""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from ..connections.process import REDIRECT
from ..core.progress import showing_progress
from ..core.project import has_migrations
from ..core.run import add_to_summary, run_id, stop_run, worker_id
from ..core.settings import settings_of
from ..postgres.schema import Schema
from ..postgres.server import Server
from . import application_role
from .databases import SqlBeforeMigrationsError, WorkerDatabase, WorkerDatabases
from .migration_errors import MigrationError
from .migrations import Migrations
from .ownership import TEMPLATE_PREFIX, NotOwnedError
from .project_migrations import migrations_of
from .schema_digest import SchemaDigest

DIGEST = pytest.StashKey[SchemaDigest]()
DATABASES = pytest.StashKey[WorkerDatabases]()
# Ends the session-scoped fixtures of a synchronous application, which may connect after their `yield`.
BEFORE_END = pytest.StashKey[ExitStack]()

REOPENED = (
    "postgres: the harness's connection was closed during the run, and was opened again. Possible reasons: a proxy "
    "that closes idle connections, pg_terminate_backend, or a crash of a server process."
)

SERVER_FACTS = """
    SELECT version(), current_user,
           (SELECT string_agg(name || default_version, ',' ORDER BY name) FROM pg_available_extensions)
"""


@pytest.fixture(scope="session")
def _databases(pytestconfig: pytest.Config, _server: Server) -> Iterator[WorkerDatabases]:
    """The databases of this worker on the test server."""
    databases = databases_of(pytestconfig, _server)
    pytestconfig.stash[DATABASES] = databases
    # Only a server that exists before the run can have databases of ended runs.
    if _server.source == "url" and (line := databases.sweep()):
        add_to_summary(pytestconfig, "left", line)
    yield databases
    if databases.times_reopened:
        add_to_summary(pytestconfig, "notes", REOPENED)
    # A closed connection must not be taken for a stopped server.
    del pytestconfig.stash[DATABASES]
    databases.close()


def databases_of(config: pytest.Config, server: Server) -> WorkerDatabases:
    """The databases of this worker on a server, outside of a fixture."""
    application_role.create_if_missing(config, server)
    sql = settings_of(config).sql_before_migrations
    return WorkerDatabases(server, f"{run_id(config)}_{worker_id(config)}", sql)


@pytest.fixture(scope="session")
def _template_database(pytestconfig: pytest.Config, _databases: WorkerDatabases, _migrations: Migrations) -> str:
    """The name of the template database: the schema at head, with only the rows that migrations have written."""
    try:
        name, _ = _build(pytestconfig, _databases, _migrations)
    except MigrationError as error:
        stop_run(pytestconfig, f"migrations: {error}")
    except NotOwnedError as error:
        stop_run(pytestconfig, f"postgres: {error}")
    except SqlBeforeMigrationsError as error:
        stop_run(pytestconfig, str(error))
    return name


def _build(config: pytest.Config, databases: WorkerDatabases, migrations: Migrations) -> tuple[str, bool]:
    """The name of the template database, and whether it had to be built."""
    digest = _digest_of(config, migrations)
    name = _name(databases.server, digest)
    with databases.templates.hold(name, rebuild=config.getoption("create_db")) as template:
        if template.is_empty:
            digest.record(lambda: _upgrade(config, databases, migrations, name))
            template.name = _name(databases.server, digest)
    return template.name, template.is_empty


def _upgrade(config: pytest.Config, databases: WorkerDatabases, migrations: Migrations, name: str) -> None:
    count, done = migrations.count, 0

    def ran(**_: object) -> None:
        nonlocal done
        done += 1
        # It holds the lock of the template database; a proxy may close what is idle.
        databases.reopen_if_closed(only_if_idle=True)
        say(f"migrations: {done} of {count}")

    with showing_progress(config) as say:
        say(f"migrations: 0 of {count}")
        migrations.upgrade(name, watch=ran)
    if done < count:
        # The template database would be kept without them.
        raise MigrationError(f"{migrations.folder / 'env.py'} has run {done} of {count} migrations on its connection.")


def schema_of(config: pytest.Config) -> Schema | None:
    """The schema for the cluster cache; None if the migrations cannot be read, which the first test reports."""

    def build(server: Server) -> bool:
        databases = databases_of(config, server)
        try:
            _, is_built = _build(config, databases, migrations_of(config, server))
        except (MigrationError, SqlBeforeMigrationsError):
            return False
        finally:
            databases.close()
        return is_built

    try:
        digest = _digest_of(config, migrations_of(config, None))
    except MigrationError:
        return None
    return Schema(lambda: digest.value, build, rebuild=config.getoption("create_db"))


@pytest.fixture(scope="session")
def _worker_database(request: pytest.FixtureRequest) -> Iterator[WorkerDatabase]:
    """This worker's clone of the schema: its savepoint tests run there, and connections are redirected to it."""
    # Not as arguments: those, and what they depend on, pytest looks up for each test anew.
    databases: WorkerDatabases = request.getfixturevalue("_databases")
    name = databases.clone(request.getfixturevalue("_seeded_database"))
    database = WorkerDatabase(name, databases.server.libpq_url(name))
    application_role.check(request.config, databases.server)
    redirect = request.config.stash[REDIRECT]
    try:
        with redirect.to(database.url, is_shared=True):
            yield database
            # Those that were set up before this fixture would end after it.
            request.config.stash.setdefault(BEFORE_END, ExitStack()).close()
    finally:
        # Before the database is dropped. `_connection_held` closes that of asynchronous engines.
        redirect.stop_synchronous()


@pytest.fixture
def empty_database_name(_databases: WorkerDatabases) -> Iterator[str]:
    """The name of an empty database for one test."""
    name = _databases.create_empty()
    with _databases.admitting(name):
        yield name
    _databases.drop(name)


def _digest_of(config: pytest.Config, migrations: Migrations) -> SchemaDigest:
    """The digest of this run, computed once, so that files changed during the run have no effect."""
    if DIGEST not in config.stash:
        settings = settings_of(config)
        of_models = () if has_migrations(config) else (settings.models_metadata,)
        config.stash[DIGEST] = SchemaDigest(migrations, config.rootpath, settings.sql_before_migrations + of_models)
    return config.stash[DIGEST]


def _name(server: Server, digest: SchemaDigest) -> str:
    with server.connect() as connection:
        facts = connection.execute(SERVER_FACTS).fetchone()
    # Its lock is one of the maintenance database.
    values = digest.value, facts, *({server.maintenance_database} - {"postgres"})
    return TEMPLATE_PREFIX + hashlib.sha256(repr(values).encode()).hexdigest()[:16]
