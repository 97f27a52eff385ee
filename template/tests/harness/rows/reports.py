"""What is reported of a trial: findings for the checks, and lines for the summary."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pytest

from ..core.findings import Finding
from ..core.project import shown
from ..core.run import add_to_summary
from ..database.migrations import Migrations
from ..schema.squawk import Unsafe
from .losses import Loss
from .statements import cause, deleting
from .tables import Table
from .trial import Failure, Trial, rows_file

# By the first letters of PostgreSQL's code: https://www.postgresql.org/docs/current/errcodes-appendix.html
ADVICE = {
    "23502": "Rows have no value there: give the column a server_default, or add it nullable, fill it, and set it NOT "
    "NULL afterwards.",
    "23505": "Several rows may have one value: merge or change them before the unique index is made.",
    "23P01": "Several rows may overlap: change them before the constraint is made.",
    "23503": "Rows may refer to rows that do not exist, or that are deleted here: change them first.",
    "23514": "Rows may violate the constraint: change them first.",
    "22": "Not every value can be converted: add a new column, and fill it with what can be converted.",
    "42804": "Say how values are converted: postgresql_using=….",
    "55006": "PostgreSQL changes no table whose rows the same transaction has changed, with deferred constraints: put "
    "the ALTER TABLE into a revision of its own.",
}
RELEASE = {
    "moved": "Requests of the running release use the old name. Instead: keep the old one, let the service use both, "
    "and drop it in a later release.",
    "required": "An INSERT of the running release does not name it, and fails. Instead: keep the default until no "
    "release needs it.",
}

Added = tuple[Iterable[Finding], str, str]


def failed(migrations: Migrations, config: pytest.Config, revision: str, file: str, failure: Failure) -> Added:
    """The finding, heading and advice for a step that fails on rows."""
    rows = shown(rows_file(migrations, revision), config)
    if failure.step == "rows":
        return (
            [Finding(f"{revision}: rows", failure.message, f"{rows}: {failure.message}")],
            f"{rows} fails:",
            (f"It runs before {revision}, in a schema without that revision."),
        )
    steps = {"upgrade": "upgrade", "downgrade": "downgrade", "upgrade again": "upgrade after a downgrade"}
    advice = next((text for code, text in ADVICE.items() if failure.sqlstate.startswith(code)), "")
    if failure.step == "upgrade again" and failure.sqlstate == "23505":
        advice = "downgrade() must delete the rows that upgrade() inserts."
    if failure.step == "downgrade":
        advice += '\nIf a downgrade is impossible, add the reason to the revision: irreversible = "the reason"'
    return (
        [Finding(f"{revision}: {failure.step} fails on rows", failure.message, f"{file}: {failure.message}")],
        f"The {steps[failure.step]} of {revision} fails if the tables have rows: " + "{found}",
        f"{advice}\nThe rows are made up. If production has other ones, write INSERTs of rows like them to {rows}: a "
        "table that it fills gets no made-up rows.".lstrip(),
    )


def lost(
    where: str, file: str, losses: Sequence[Loss], statements: Sequence[str] = (), before: Mapping[str, Table] = {}
) -> list[Finding]:
    """The losses of an upgrade with the statements that caused them, and statements that may delete other rows."""
    found = []
    for loss in losses:
        statement = cause(loss, statements)
        text = f"{loss.text}: {statement}" if statement else loss.text
        found.append(Finding(f"{where}: {loss.key}", f"  {text}", f"{file}: {text}"))
    seen = {loss.table for loss in losses if loss.kind in ("rows", "table")}
    for table, statement in deleting(statements, before):
        if before[table].root not in seen and table not in seen:
            found.append(Finding(f"{where}: {statement}", f"  {statement}", f"{file}: {statement}"))
    return found


def moved_or_required(revision: str, file: str, trial: Trial, unsafe: Sequence[Unsafe]) -> Iterator[Finding]:
    """What the running release does not find, or does not fill in, and no rule of a statement has found."""
    rules = {found.rule for found in unsafe}
    if not rules & {"renaming-column", "renaming-table"}:
        for loss in trial.moved:
            yield _of_release(revision, file, "moved", loss.key, f"{loss.text}: they are under another name now")
    if "adding-required-field" not in rules:
        for column in trial.required:
            yield _of_release(revision, file, "required", column, f"{column} is NOT NULL and has no default")


def _of_release(revision: str, file: str, kind: str, name: str, text: str) -> Finding:
    return Finding(f"{revision}: {kind}: {name}", f"  {text}\n    {RELEASE[kind]}", f"{file}: {text}")


def report_rows(
    config: pytest.Config, migrations: Migrations, revision: str, trial: Trial, statements: Sequence[str]
) -> None:
    """Add lines to the summary: tables that the revision names and that could not be filled; files of no revision."""
    rows = rows_file(migrations, revision)
    with_triggers = " Triggers ran: the user may not set session_replication_role." if trial.runs_triggers else ""
    for name, why in trial.refused.items():
        bare = trial.before[name].bare_name if name in trial.before else name
        if any(bare in statement for statement in statements):
            lines = f"savepoint: no rows for {name} before {revision}: {why}.{with_triggers}"
            add_to_summary(config, "unfilled", f"{lines} Write INSERTs of them to {shown(rows, config)}.")
    known = {script.revision for script in migrations.script.walk_revisions()}
    for file in rows.parent.glob("*.sql"):
        if file.stem not in known:
            add_to_summary(
                config, "unfilled", f"savepoint: {shown(file, config)} is not run: no revision has this name."
            )
