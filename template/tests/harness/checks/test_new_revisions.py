"""What a migration that is new does to a database that is in use: the rows in it, and whoever is at work there.

Of new revisions alone, since those before them have been deployed.
"""

import pytest
from alembic.script import Script

from tests.harness.postgres.server import Server
from tests.harness.schema.history import Steps, destructive, reason
from tests.harness.schema.squawk import squawk, unsafe


def test_new_revisions_keep_what_is_there(_new_revisions: list[Script], migration_history: Steps) -> None:
    for script in _new_revisions:
        if reason(script, "destroys") is None:
            _fail_if(
                destructive(migration_history.statements[script.revision]),
                f"the upgrade of {script.revision} takes rows or columns away, and production has them:",
                "Deploy first what no longer needs them. If they are to go, let the revision say so: "
                'destroys = "the reason".',
            )


def test_new_revisions_block_nobody(
    _new_revisions: list[Script], migration_history: Steps, postgres_server: Server
) -> None:
    command = squawk()
    if command is None:
        pytest.skip(
            "squawk is not installed: there is no squawk-cli for this platform, or the project has taken it out"
        )
    for script in _new_revisions:
        if reason(script, "locks") is None:
            rewrites = script.revision in migration_history.rewrites
            statements = migration_history.statements[script.revision]
            _fail_if(
                [f"  {found}" for found in unsafe(command, statements, postgres_server.major, rewrites=rewrites)],
                f"while the upgrade of {script.revision} runs, or the old release with it, requests wait or fail:",
                "If the table is small, or nobody is at work then, let the revision say so: "
                'locks = "some hundred rows".',
            )


def _fail_if(lines: list[str], heading: str, what_to_do: str) -> None:
    if lines:
        pytest.fail("\n".join([heading, *lines, what_to_do]), pytrace=False)
