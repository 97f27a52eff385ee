"""Runs each new revision on rows: its upgrade, its downgrade, and its upgrade again.

Before it, the tables are filled: by `rows/<revision>.sql` in the folder of the migrations, if there is such a file,
and with made-up rows where that file has not put any.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from alembic.script import Script
from psycopg import Connection

from ..database.databases import WorkerDatabases
from ..database.migration_errors import MigrationError
from ..database.migrations import Migrations
from ..schema.history import MigrationHistory
from ..schema.revisions import parents, reason
from ..transaction.raw_connection import sqlstate
from .contents import Content, contents, counts
from .fill import Filling
from .losses import compared, newly_required
from .made_rows import MOST
from .statements import truncated
from .tables import Table, tables_of
from .trial import Failure, Trial, rows_file

# Statements that Alembic, env.py and SQLAlchemy send themselves.
OF_ALEMBIC = re.compile(
    r"\s*(SET|SHOW)\b|\s*select (pg_catalog\.)?version\(\)|.*(alembic_version|pg_catalog)", re.I | re.S
)
# Losses that a comparison of schemas does not see.
OF_ROWS = ("rows", "null", "same")
# Classes of PostgreSQL's errors that rows have no part in: a name that does not exist, a dependency.
OF_SCHEMA = ("42", "2B", "3F")
RELATIONS = "SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"


@dataclass
class Trials:
    """Runs new revisions on the rows of one database.

    Args:
        database: in the state before the first new revision; it has to be dropped afterwards.
        later: the tables after all revisions, by name.
        applied: the revisions that the database has.
        downgrades: whether downgrades run.
    """

    migrations: Migrations
    databases: WorkerDatabases
    database: str
    later: Mapping[str, Table]
    applied: set[str]
    downgrades: bool
    _number: int = 0

    def run(self, scripts: list[Script], changes: Callable[[str], bool]) -> dict[str, Trial]:
        """The trial of each revision that changes something, the oldest first.

        Args:
            scripts: the new revisions, and those that need them; the oldest first.
            changes: whether a revision sends statements.
        """
        trials = {}
        for script in scripts:
            if not changes(script.revision):
                continue
            trial = trials[script.revision] = Trial()
            try:
                self._try(script, trial)
            except _StepFailedError as failed:
                if failed.failure is not None:
                    trial.failures.append(failed.failure)
                if script is not scripts[-1]:
                    self._renew(script.revision)
        return trials

    def _renew(self, revision: str) -> None:
        """Upgrade a new database, without rows: the state after a failure is not that after the revision."""
        self.databases.drop(self.database)
        self.database = self.databases.create_empty()
        self.migrations.upgrade(self.database, revision)
        self.applied = {script.revision for script in self.migrations.script.iterate_revisions(revision, "base")}

    def _try(self, script: Script, trial: Trial) -> None:
        for parent in parents(self.migrations, script):
            if parent not in self.applied:
                self.migrations.upgrade(self.database, parent)
                self.applied.add(parent)
        # One connection: a new one reads the catalog several times slower.
        with self.databases.server.connect(self.database) as connection:
            self._fill(connection, script, trial)
            before = contents(connection)
            trial.before = {content.table.name: content.table for content in before.values()}
            if before:
                self._run(connection, script, trial, before)

    def _run(self, connection: Connection[Any], script: Script, trial: Trial, before: dict[int, Content]) -> None:
        self._step("upgrade", lambda: self.migrations.upgrade(self.database, script.revision))
        self.applied.add(script.revision)
        after, names = contents(connection), {name for (name,) in connection.execute(RELATIONS.encode())}
        found = compared(before, after)
        trial.lost = found.lost
        # A view may have the old name.
        trial.moved = [loss for loss in found.moved if loss.kind != "table" or loss.table not in names]
        trial.required = list(newly_required(before, after))
        down = script.down_revision
        if not self.downgrades or not isinstance(down, str) or reason(script, "irreversible"):
            return
        self._step("downgrade", lambda: self.migrations.downgrade(self.database, down))
        # What the upgrade has deleted, no downgrade can restore.
        gone = {(loss.table, loss.column) for loss in trial.lost}
        trial.lost_by_downgrade = [
            loss
            for loss in compared(before, contents(connection)).lost
            if loss.kind in OF_ROWS and not gone & {(loss.table, loss.column), (loss.table, "")}
        ]
        self._step("upgrade again", lambda: self.migrations.upgrade(self.database, script.revision))

    def _fill(self, connection: Connection[Any], script: Script, trial: Trial) -> None:
        filled = []
        file = rows_file(self.migrations, script.revision)
        if file.is_file():
            before = counts(connection)
            try:
                text = file.read_text(encoding="utf-8")
                with connection.transaction():
                    connection.execute(text.encode())
            except psycopg.Error as error:
                raise _StepFailedError(Failure("rows", str(error), error.sqlstate or "")) from error
            after = counts(connection)
            filled = [name for name, count in after.items() if count != before.get(name)] + truncated(text, after)
        filling = Filling(connection, self.later, self._number)
        filling.fill(filled)
        self._number += MOST
        trial.refused, trial.runs_triggers = filling.refused, filling.runs_triggers

    def _step(self, step: str, run: Callable[[], None]) -> None:
        try:
            run()
        except MigrationError as error:
            cause: Any = getattr(error.__cause__, "orig", None) or error.__cause__
            # Of asyncpg, or of psycopg.
            detail = getattr(cause.__cause__, "detail", None) or getattr(
                getattr(cause, "diag", None), "message_detail", None
            )
            message = f"{error}. {detail}" if detail else str(error)
            code = sqlstate(cause)
            if step != "upgrade" and (not code or code[:2] in OF_SCHEMA):
                # It fails without rows too, which `test_up_down_consistency` reports.
                raise _StepFailedError(None) from error
            raise _StepFailedError(Failure(step, message, code)) from error


class _StepFailedError(Exception):
    def __init__(self, failure: Failure | None) -> None:
        super().__init__(failure)
        self.failure = failure


def trials_of(
    migrations: Migrations,
    databases: WorkerDatabases,
    new: list[Script],
    history: MigrationHistory,
    *,
    downgrades: bool,
) -> dict[str, Trial]:
    """The trial of each new revision, by revision; takes the copy of the database before them."""
    names = {script.revision for script in new}
    settled = history.settled(names)
    scripts = [script for script in reversed(history.revisions) if script.revision not in settled]
    if not settled and len(scripts) <= 1:
        # There are no tables before.
        return {}
    if (database := history.before_new) is None:
        database = databases.create_empty()
        for revision in history.heads(settled):
            migrations.upgrade(database, revision)
    history.before_new = None
    with databases.server.connect(history.database) as connection:
        later = {table.name: table for table in tables_of(connection)}

    def changes(revision: str) -> bool:
        return revision in names and not all(map(OF_ALEMBIC.match, history.statements[revision]))

    trials = Trials(migrations, databases, database, later, set(settled), downgrades)
    try:
        return trials.run(scripts, changes)
    finally:
        databases.drop(trials.database)
