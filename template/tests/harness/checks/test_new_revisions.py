"""New migrations must keep the data of a database that is in use, and must not block its users.

Older migrations are not checked, since they have been deployed.
"""

import pytest
from alembic.script import Script

from ..postgres.server import Server
from ..schema.history import MigrationHistory, destructive_statements
from ..schema.new_revisions import allowed_reason
from ..schema.squawk import squawk, unsafe


def test_new_migrations_keep_data(
    _new_revisions: list[Script], migration_history: MigrationHistory, pytestconfig: pytest.Config
) -> None:
    for script in _new_revisions:
        if allowed_reason(pytestconfig, script, "destructive") is None:
            _fail_if(
                destructive_statements(migration_history.statements[script.revision]),
                f"The upgrade of {script.revision} deletes rows or columns:",
                "First deploy a release that does not use them. To delete them, add the reason to the revision: "
                'destructive = "the reason"',
            )


def test_new_migrations_are_lock_safe(
    _new_revisions: list[Script],
    migration_history: MigrationHistory,
    _server: Server,
    pytestconfig: pytest.Config,
) -> None:
    command = squawk()
    if command is None:
        pytest.skip("squawk is not installed: squawk-cli has no wheel for this platform, or is not a dependency")
    for script in _new_revisions:
        if allowed_reason(pytestconfig, script, "takes_locks") is None:
            rewrites = script.revision in migration_history.rewrites
            statements = migration_history.statements[script.revision]
            _fail_if(
                [f"  {found}" for found in unsafe(command, statements, _server.major, rewrites=rewrites)],
                f"The upgrade of {script.revision} makes requests of the running release wait or fail:",
                "If the table is small, or not in use during the upgrade, add the reason to the revision: "
                'takes_locks = "a few hundred rows"',
            )


def _fail_if(lines: list[str], heading: str, advice: str) -> None:
    if lines:
        pytest.fail("\n".join([heading, *lines, advice]), pytrace=False)
