"""New migrations must keep the data of a database that is in use, and must not block its users.

Older migrations are not checked, since they have been deployed.
"""

from pathlib import Path

import pytest
from alembic.script import Script

from ..core.findings import Finding, Findings, finds
from ..core.project import shown
from ..postgres.server import Server
from ..schema.history import MigrationHistory, destructive_statements
from ..schema.new_revisions import allowed_reason
from ..schema.squawk import squawk, unsafe


@finds(
    "data",
    "A new migration deletes data, which the running release may still read.",
    'First deploy a release without it; then add to the revision: destructive = "the reason".',
)
def test_new_migrations_keep_data(
    _new_revisions: list[Script],
    _findings: Findings,
    migration_history: MigrationHistory,
    pytestconfig: pytest.Config,
) -> None:
    _keep_older(_findings, _new_revisions, migration_history)
    for script in _new_revisions:
        if allowed_reason(pytestconfig, script, "destructive") is None:
            statements = destructive_statements(migration_history.statements[script.revision])
            file = shown(Path(script.path), pytestconfig)
            _findings.add(
                [
                    Finding(f"{script.revision}: {statement}", statement, f"{file}: {statement}")
                    for statement in statements
                ],
                f"The upgrade of {script.revision} deletes rows or columns:",
                "First deploy a release that does not use them. To delete them, add the reason to the revision: "
                'destructive = "the reason"',
            )
    _findings.fail_for_new()


@finds(
    "production",
    "A new migration locks or breaks what the running release uses: its requests wait or fail.",
    'The failure names safe statements. Or add to the revision: takes_locks = "the reason".',
)
def test_new_migrations_are_lock_safe(
    _new_revisions: list[Script],
    _findings: Findings,
    migration_history: MigrationHistory,
    _server: Server,
    pytestconfig: pytest.Config,
) -> None:
    command = squawk()
    if command is None:
        pytest.skip("squawk is not installed: squawk-cli has no wheel for this platform, or is not a dependency")
    _keep_older(_findings, _new_revisions, migration_history)
    for script in _new_revisions:
        if allowed_reason(pytestconfig, script, "takes_locks") is None:
            rewrites = script.revision in migration_history.rewrites
            statements = migration_history.statements[script.revision]
            file = shown(Path(script.path), pytestconfig)
            _findings.add(
                [
                    Finding(f"{script.revision}: {found.key}", f"  {found}", f"{file}: {found.statement}")
                    for found in unsafe(command, statements, _server.major, rewrites=rewrites)
                ],
                f"The upgrade of {script.revision} makes requests of the running release wait or fail:",
                "If the table is small, or not in use during the upgrade, add the reason to the revision: "
                'takes_locks = "a few hundred rows"',
            )
    _findings.fail_for_new()


def _keep_older(findings: Findings, new: list[Script], history: MigrationHistory) -> None:
    older = {script.revision for script in history.revisions} - {script.revision for script in new}
    findings.keep(lambda key: key.partition(": ")[0] not in older)
