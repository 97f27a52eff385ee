"""New migrations must run on rows and keep them, and must not block or break the release that is running.

Older migrations are not checked, since they have been deployed.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest
from alembic.script import Script

from ..core.findings import Finding, Findings, finds
from ..core.project import shown
from ..database.migrations import Migrations
from ..postgres.server import Server
from ..rows.reports import failed, lost, moved_or_required, report_rows
from ..rows.trial import Trial
from ..schema.history import MigrationHistory
from ..schema.locks import unsafe_of
from ..schema.new_revisions import allowed_reason
from ..schema.squawk import squawk


@finds(
    "data",
    "A new migration fails on rows, or deletes data, which the running release may still read.",
    'First deploy a release without it; then add to the revision: destructive = "the reason".',
)
def test_new_migrations_keep_data(
    _new_revisions: list[Script],
    _findings: Findings,
    _migrations: Migrations,
    _trials: Mapping[str, Trial],
    migration_history: MigrationHistory,
    pytestconfig: pytest.Config,
) -> None:
    _keep_older(_findings, _new_revisions, migration_history)
    for script in reversed(_new_revisions):
        trial, revision = _trials.get(script.revision, Trial()), script.revision
        file = shown(Path(script.path), pytestconfig)
        statements = migration_history.statements[revision]
        report_rows(pytestconfig, _migrations, revision, trial, statements)
        for failure in trial.failures:
            _findings.add(*failed(_migrations, pytestconfig, revision, file, failure))
        if allowed_reason(pytestconfig, script, "destructive") is None:
            _findings.add(
                lost(revision, file, trial.lost, statements, trial.before),
                f"The upgrade of {revision} deletes data:",
                "First deploy a release that does not use it. To delete it, add the reason to the revision: "
                'destructive = "the reason"',
            )
            _findings.add(
                lost(f"{revision} downgrade", file, trial.lost_by_downgrade),
                f"The downgrade of {revision} deletes data that was there before the upgrade:",
                "Restore it in downgrade(). If that is impossible, add the reason to the revision: "
                'irreversible = "the reason"',
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
    _trials: Mapping[str, Trial],
    migration_history: MigrationHistory,
    _server: Server,
    pytestconfig: pytest.Config,
) -> None:
    command = squawk()
    if command is None:
        pytest.skip("squawk is not installed: squawk-cli has no wheel for this platform, or is not a dependency")
    _keep_older(_findings, _new_revisions, migration_history)
    for script in reversed(_new_revisions):
        if allowed_reason(pytestconfig, script, "takes_locks") is None:
            file = shown(Path(script.path), pytestconfig)
            found = unsafe_of(command, migration_history, script.revision, _server.major)
            _findings.add(
                [
                    *(
                        Finding(f"{script.revision}: {each.key}", f"  {each}", f"{file}: {each.statement}")
                        for each in found
                    ),
                    *moved_or_required(script.revision, file, _trials.get(script.revision, Trial()), found),
                ],
                f"The upgrade of {script.revision} makes requests of the running release wait or fail:",
                "If the table is small, or not in use during the upgrade, add the reason to the revision: "
                'takes_locks = "a few hundred rows"',
            )
    _findings.fail_for_new()


def _keep_older(findings: Findings, new: list[Script], history: MigrationHistory) -> None:
    older = {script.revision for script in history.revisions} - {script.revision for script in new}
    findings.keep(lambda key: key.partition(": ")[0].removesuffix(" downgrade") not in older)
