"""A new revision after a base schema, and what the checks of new revisions say of it, in this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from harness.checks.test_new_revisions import test_new_migrations_are_lock_safe, test_new_migrations_keep_data
from harness.connections.redirect import Redirect
from harness.core.baseline import Baseline
from harness.core.findings import Findings
from harness.core.run import LINES
from harness.database.databases import WorkerDatabases
from harness.database.migrations import Migrations
from harness.postgres.server import Server
from harness.rows.trials import trials_of
from harness.schema.history import history_of

ENV = """
from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
"""
REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "{name}"
down_revision = {after}
{says}


def upgrade():
{upgrade}


def downgrade():
{downgrade}
"""


@dataclass(frozen=True)
class Found:
    """What the two checks say.

    Attributes:
        data: the message of the check of data; "" if it passes.
        locks: that of the check of locks.
        keys: the keys of all findings.
        summary: lines for the summary.
    """

    data: str
    locks: str
    keys: list[str]
    summary: list[str]


class Revisions:
    """A folder with migrations.

    Args:
        folder: an empty folder.
    """

    def __init__(self, server: Server, folder: Path) -> None:
        self._server, self.folder = server, folder
        (folder / "versions").mkdir()
        (folder / "env.py").write_text(ENV)
        (folder / "alembic.ini").write_text("[alembic]\nscript_location = .\n")
        self._newest = "None"

    def add(self, name: str, upgrade: str, downgrade: str = "pass", says: str = "", after: str = "") -> None:
        """Add a revision; a text that is no Python, such as `DROP TABLE a; DROP TABLE b`, is SQL."""
        text = REVISION.format(
            name=name,
            after=after or self._newest,
            says=says,
            upgrade=indent(_python(upgrade), "    "),
            downgrade=indent(_python(downgrade), "    "),
        )
        (self.folder / "versions" / f"{name}.py").write_text(text)
        self._newest = repr(name)

    def rows(self, name: str, sql: str) -> None:
        """Write the rows for a revision."""
        (self.folder / "rows").mkdir(exist_ok=True)
        (self.folder / "rows" / f"{name}.sql").write_text(sql)

    @contextmanager
    def databases(self) -> Iterator[WorkerDatabases]:
        """The databases of a run."""
        databases = WorkerDatabases(self._server, f"{uuid4().hex[:8]}_main")
        try:
            yield databases
        finally:
            databases.close()

    def check(self, *new: str, downgrades: bool = True) -> Found:
        """Run both checks on the new revisions, by default the newest."""
        config: Any = SimpleNamespace(rootpath=self.folder, stash=pytest.Stash())
        config.stash[LINES] = {"unfilled": [], "outdated": []}
        migrations = Migrations(self._server, self.folder / "alembic.ini", Redirect(), "alembic")
        scripts = [script for script in migrations.script.walk_revisions() if script.revision in new or not new]
        scripts = scripts if new else scripts[:1]
        said: dict[object, str] = {}
        keys: list[str] = []
        with self.databases() as databases:
            history = history_of(migrations, self._server, databases, scripts)
            trials = trials_of(migrations, databases, scripts, history, downgrades=downgrades)
            for check in (test_new_migrations_keep_data, test_new_migrations_are_lock_safe):
                findings = Findings(check.__name__, Baseline(self.folder / "no-baseline.toml"))
                arguments: dict[str, Any] = {
                    "_new_revisions": scripts,
                    "_findings": findings,
                    "_trials": trials,
                    "migration_history": history,
                    "pytestconfig": config,
                }
                arguments |= {"_migrations": migrations} if check is test_new_migrations_keep_data else {}
                arguments |= {"_server": self._server} if check is test_new_migrations_are_lock_safe else {}
                said[check] = ""
                try:
                    check(**arguments)
                except pytest.fail.Exception as failure:
                    said[check] = str(failure)
                keys += findings.found
            databases.drop(history.database)
        lines = config.stash[LINES]["unfilled"]
        return Found(said[test_new_migrations_keep_data], said[test_new_migrations_are_lock_safe], keys, lines)


def _python(text: str) -> str:
    is_python = text.lstrip().startswith(("op.", "with ", "pass", "for ", "raise ", "import ", "if ", "connection"))
    return text if is_python else "\n".join(f'op.execute("""{statement}""")' for statement in text.split(";;"))
