"""Migrations: a single head, the schema of the models, downgrades that undo upgrades, and Alembic's command line."""

import io
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest
from alembic import command
from sqlalchemy import MetaData

from ..core.findings import Finding, Findings, finds
from ..core.project import alembic_ini, harness_command, shown
from ..core.run import add_to_summary
from ..core.settings import report_unused, settings_of
from ..database.alembic_env import alembic_config, watching
from ..database.databases import WorkerDatabase, WorkerDatabases
from ..database.migration_errors import MigrationError
from ..database.migrations import Migrations
from ..postgres.server import Server
from ..schema import head_file
from ..schema.catalog import Catalog, catalog, differences
from ..schema.drift_report import add_findings
from ..schema.history import MigrationHistory
from .drift import find_drift

AGAIN = "upgrade after downgrade:"
NOT_COMPARED = "test_models_match_migrations: not compared, since create_all() cannot create it: {}: {}"


@finds(
    "production",
    "Several heads: `alembic upgrade head` refuses, and so does the deployment.",
    "alembic merge heads, or another down_revision.",
)
def test_single_head_revision(migrations: Migrations, pytestconfig: pytest.Config) -> None:
    migrations.raise_if_several_heads()

    file, said = migrations.folder / head_file.NAME, head_file.read(migrations.folder)
    heads = migrations.script.get_heads()
    assert said is None or [said] == heads, (
        f"{shown(file, pytestconfig)} says {said!r}, and the head is {', '.join(heads)}. Write that into the file. It "
        "makes two branches conflict that each add a revision."
    )


@finds(
    "schema",
    "The models differ from the migrations: queries fail, or autogenerate drops what no model has.",
    "A migration with the missing operations; or change the model.",
)
def test_models_match_migrations(
    _migrations: Migrations,
    _models_metadata: MetaData,
    _databases: WorkerDatabases,
    _server: Server,
    _worker_database: WorkerDatabase,
    _findings: Findings,
    empty_database_name: str,
    pytestconfig: pytest.Config,
) -> None:
    drift = find_drift(
        pytestconfig, _migrations, _databases, _server, _worker_database.name, empty_database_name, _models_metadata
    )
    for name, reason in drift.left_out.items():
        add_to_summary(pytestconfig, "notes", NOT_COMPARED.format(name, reason))
    _findings.keep(lambda key: all(name not in key for name in drift.left_out))
    revision = harness_command(pytestconfig, "revision")
    add_findings(_findings, drift.remedies, drift.left, revision, note=drift.note)
    report_unused(pytestconfig, "ignore_drift", drift.matched)
    _findings.fail_for_new()


@finds(
    "schema",
    "Downgrades that do not undo the upgrade: a release cannot be rolled back.",
    'Mend downgrade(). Or add to the revision: irreversible = "the reason".',
)
def test_up_down_consistency(
    _migrations: Migrations,
    _server: Server,
    _findings: Findings,
    migration_history: MigrationHistory,
    pytestconfig: pytest.Config,
) -> None:
    if settings_of(pytestconfig).forward_only:
        pytest.skip("forward_only: downgrades are not used")
    at_head = _schema(_server, migration_history.database)

    failure = None
    try:
        migration_history.down()
    except MigrationError as error:
        failure = Finding(f"{migration_history.next_downgrade}: downgrade fails", str(error))
    _findings.keep(lambda key: _is_looked_at(key, migration_history))
    # Reported first: what one downgrade leaves behind can make another fail.
    for revision, left in migration_history.leftovers.items():
        file = shown(migration_history.file(revision), pytestconfig)
        keyed = [(found.key("removes", "leaves", "changes"), found) for found in left]
        _findings.add(
            [Finding(f"{revision}: {key}", str(found), f"{file}: {key}") for key, found in keyed],
            f"The downgrade of {revision} leaves objects behind (+) or removes too much (-):",
            "downgrade() must undo upgrade(). If that is impossible, add the reason to the revision: "
            'irreversible = "the reason"',
        )
    if failure is not None:
        _findings.add(
            [failure],
            "A downgrade fails: {found}",
            "Fix downgrade(). If a downgrade is impossible, add the reason to the revision: "
            'irreversible = "the reason"',
        )
    _findings.fail_for_new()

    advice = "The downgrade has left an object behind, or has removed an object that the upgrade needs."
    try:
        _migrations.upgrade(migration_history.database)
    except MigrationError as error:
        fails = Finding(f"{AGAIN} fails", str(error))
        _findings.add([fails], "After a downgrade, upgrading again fails: {found}", advice)
    else:
        keys = (f"{AGAIN} lacks", f"{AGAIN} has", f"{AGAIN} changes")
        found = differences(at_head, _schema(_server, migration_history.database))
        _findings.add(
            [Finding(key := difference.key(*keys), str(difference), key) for difference in found],
            "After a downgrade, upgrading again gives a different schema:",
            advice,
        )
    _findings.fail_for_new()


def _is_looked_at(key: str, history: MigrationHistory) -> bool:
    revision, _, what = key.partition(": ")
    if revision == history.irreversible or all(script.revision != revision for script in history.revisions):
        return True
    return revision in (history.downgraded if what == "downgrade fails" else history.compared)


def _schema(server: Server, database: str) -> Catalog:
    with server.connect(database) as connection:
        return catalog(connection)


@finds(
    "production",
    "The alembic command does not connect: the deployment cannot run the migrations.",
    "env.py must open a connection when it gets none.",
)
@pytest.mark.own_database
def test_alembic_cli_connects(
    migrations: Migrations,
    pytestconfig: pytest.Config,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On the command line, env.py gets no connection and must open one."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://user@nowhere/database")
    output = io.StringIO()
    config = alembic_config(alembic_ini(pytestconfig), stdout=output)

    # In a thread, since env.py starts an event loop.
    with watching(None), ThreadPoolExecutor(1) as thread:
        thread.submit(copy_context().run, command.current, config).result()

    # "0003 (head)", "0005 (head) (mergepoint)"
    assert [line.split()[0] for line in output.getvalue().splitlines()] == migrations.script.get_heads()
