"""Finds operations that make the migrated schema that of the models, by trying them on a copy of the database.

An operation is shown only if, after it has run there, PostgreSQL's catalog differs less. What Alembic or this harness
believes to differ does not count, and what is printed runs when it is pasted.
"""

from collections.abc import Iterable

import sqlalchemy as sa

from .alteration import alteration, renames
from .catalog import Difference, without_parts
from .drift import Comparison
from .operations import Operation, commits_first, sql_operation
from .trial import Remedy, Trial, is_reset

# More operations are tried together first.
FEW = 20


def remedies(
    connection: sa.Connection, comparison: Comparison, operations: Iterable[Operation], metadata: sa.MetaData
) -> tuple[list[Remedy], list[Difference]]:
    """The operations that help, in an order that works, and the differences that none mends.

    Args:
        connection: to a copy of the migrated database.
        operations: Alembic's; what they do not mend is mended by SQL.
    """
    trial = Trial(connection, comparison, metadata)
    pending = list(operations)
    _try_renames(trial)
    _try_enums(trial)
    if len(pending) > FEW:
        pending = trial.attempt_together(pending)
    before = -1
    while trial.left and before != len(trial.remedies):
        before = len(trial.remedies)
        pending = [operation for operation in pending if not trial.attempt(operation, drops=False)]
        if before == len(trial.remedies):
            _try_sql(trial, drops=False)
    _try_drops(trial, pending)
    # They run alone, and what they add may be used by the others.
    trial.remedies.sort(key=lambda remedy: not commits_first(remedy.operation))
    return trial.remedies, without_parts(trial.left)


def _try_renames(trial: Trial) -> None:
    for _, statements in renames(trial.left).values():
        trial.attempt(sql_operation(statements), drops=None)


def _try_enums(trial: Trial) -> None:
    """Before operations of a library: they may run in the transaction that uses the new value."""
    enums = [found for found in trial.left if found.expected and (found.actual or "").startswith("enum ")]
    for found in enums:
        for statements in alteration(found, trial.comparison.expected, trial.actual):
            trial.attempt(sql_operation(statements), drops=False)


def _try_sql(trial: Trial, *, drops: bool) -> None:
    for found in without_parts(trial.left):
        if found not in trial.left or ((found.expected is None) != drops and not is_reset(found)):
            continue
        for statements in alteration(found, trial.comparison.expected, trial.actual):
            if statements and trial.attempt(sql_operation(statements), drops=drops):
                break


def _try_drops(trial: Trial, pending: list[Operation]) -> None:
    before = -1
    while before != len(trial.remedies):
        before = len(trial.remedies)
        pending = [operation for operation in pending if not trial.attempt(operation, drops=True)]
    _try_sql(trial, drops=True)
