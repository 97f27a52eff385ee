"""The schema, built by the migrations alone, once for as long as they stay as they are.

`alembic upgrade head` runs in a template database whose name is a hash of all that decides the outcome; each worker
gets a clone of it. `create_all` would build what the models say, and no test could then notice that the migrations
say something else.
"""

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import alembic
import pytest
import sqlalchemy

from ..connections.process import REDIRECT
from ..core.progress import passing
from ..core.run import add_to_summary, run_id, stop_run, worker_id
from ..postgres.clusters import Schema
from ..postgres.server import Server
from .databases import Databases, WorkerDatabase
from .imported_files import imported_files
from .migrations import MigrationError, Migrations, as_migration_error, migrations_of
from .ownership import MARK, TEMPLATE_PREFIX, NotOursError

DIGEST = pytest.StashKey[str]()
DATABASES = pytest.StashKey[Databases]()

SERVER_FACTS = """
    SELECT version(), current_user,
           (SELECT string_agg(name || default_version, ',' ORDER BY name) FROM pg_available_extensions)
"""


@pytest.fixture(scope="session")
def _databases(pytestconfig: pytest.Config, postgres_server: Server) -> Iterator[Databases]:
    """The databases of this worker on the test server."""
    databases = Databases(postgres_server, f"{run_id(pytestconfig)}_{worker_id(pytestconfig)}")
    pytestconfig.stash[DATABASES] = databases
    # The other rungs' servers are of this run alone.
    if postgres_server.rung == "url" and (line := databases.sweep()):
        add_to_summary(pytestconfig, "left", line)
    yield databases
    # Of a connection that is closed from this side, nothing can be learned about the server.
    del pytestconfig.stash[DATABASES]
    databases.close()


@pytest.fixture(scope="session")
def _template_database(
    pytestconfig: pytest.Config, postgres_server: Server, _databases: Databases, migrations: Migrations
) -> str:
    """The name of the sealed database that holds the schema at head and not one row that a migration did not write."""
    try:
        name, _ = _build(pytestconfig, _databases, migrations)
    except MigrationError as error:
        stop_run(pytestconfig, f"migrations: {error}")
    except NotOursError as error:
        stop_run(pytestconfig, f"postgres: {error}")
    return name


def _build(config: pytest.Config, databases: Databases, migrations: Migrations) -> tuple[str, bool]:
    """The name of the template database, and whether it had to be built."""
    name = TEMPLATE_PREFIX + schema_hash(databases.server, _digest_of(config, migrations))
    with databases.template(name, rebuild=config.getoption("create_db")) as has_to_be_built:
        if has_to_be_built:
            _upgrade(config, migrations, name)
    return name, has_to_be_built


def _upgrade(config: pytest.Config, migrations: Migrations, name: str) -> None:
    count, done = sum(1 for _ in migrations.script.walk_revisions()), itertools.count(1)
    with passing(config) as say:
        say(f"migrations: 0 of {count}")
        migrations.upgrade(name, watch=lambda **_: say(f"migrations: {next(done)} of {count}"))


def schema_of(config: pytest.Config) -> Schema | None:
    """The schema, for a cluster to be kept with it; None if the migrations cannot be read, which a test will say."""

    def build(server: Server) -> bool:
        databases = Databases(server, f"{run_id(config)}_{worker_id(config)}")
        try:
            _, is_built = _build(config, databases, migrations_of(config, server))
        except MigrationError:
            return False
        finally:
            databases.close()
        return is_built

    try:
        digest = _digest_of(config, migrations_of(config, None))
    except MigrationError:
        return None
    return Schema(digest, build, is_new=config.getoption("create_db"))


@pytest.fixture(scope="session")
def _worker_database(request: pytest.FixtureRequest) -> Iterator[WorkerDatabase]:
    """This worker's clone of the schema, where all its savepoint tests run, and where the process's connections go."""
    # Not as arguments: those, and what they depend on, pytest looks up for each test anew.
    databases: Databases = request.getfixturevalue("_databases")
    name = databases.clone(request.getfixturevalue("_seeded_database"))
    database = WorkerDatabase(name, databases.server.url(name))
    with request.config.stash[REDIRECT].to(database.url, is_shared=True):
        yield database


@pytest.fixture
def empty_database_name(_databases: Databases) -> Iterator[str]:
    """The name of a database with nothing in it, for one test."""
    name = _databases.create_empty()
    yield name
    _databases.drop(name)


def _digest_of(config: pytest.Config, migrations: Migrations) -> str:
    """`files_digest`, once per run: what was read at its start is what it is about."""
    if DIGEST not in config.stash:
        config.stash[DIGEST] = files_digest(migrations, config.rootpath)
    return config.stash[DIGEST]


def schema_hash(server: Server, digest: str) -> str:
    """16 hex characters that change whenever running the migrations could give another schema."""
    with server.connect() as connection:
        facts = connection.execute(SERVER_FACTS).fetchone()
    return hashlib.sha256(repr((digest, facts)).encode()).hexdigest()[:16]


def files_digest(migrations: Migrations, root: Path) -> str:
    """The same, as far as project and environment decide; raises `MigrationError` if a revision cannot be read."""
    revisions = sorted(
        path for path in migrations.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )
    digest = hashlib.sha256()
    with as_migration_error(root):
        imported = imported_files(migrations.folder / "versions", root)
    for path in [root / "alembic.ini", *revisions, *imported]:
        content = path.read_bytes()
        # Lengths keep the end of one file apart from the start of the next.
        digest.update(f"{path.relative_to(root).as_posix()}:{len(content)}:".encode() + content)
    # With the mark: 0.3.0 left databases without one, whose names must not be asked for again.
    digest.update(repr((MARK, alembic.__version__, sqlalchemy.__version__)).encode())
    return digest.hexdigest()
