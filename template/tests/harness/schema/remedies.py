"""Finds operations that make the migrated schema that of the models, by trying them on a copy of the database.

An operation is shown only if, after it has run there, PostgreSQL's catalog differs less. What Alembic or this harness
believes to differ does not count, and what is printed runs when it is pasted.
"""

from collections.abc import Iterable

import sqlalchemy as sa

from .alteration import alteration, renames
from .attempts import Attempts, Remedy, is_reset
from .catalog import Difference, without_parts
from .drift import Comparison
from .operations import Operation, commits_first, sql_operation

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
    attempts = Attempts(connection, comparison, metadata)
    pending = list(operations)
    _try_renames(attempts)
    _try_enums(attempts)
    if len(pending) > FEW:
        pending = attempts.attempt_together(pending)
    before = -1
    while attempts.left and before != len(attempts.remedies):
        before = len(attempts.remedies)
        pending = [operation for operation in pending if not attempts.attempt(operation, drops=False)]
        if before == len(attempts.remedies):
            _try_sql(attempts, drops=False)
    _try_drops(attempts, pending)
    # They run alone, and what they add may be used by the others.
    attempts.remedies.sort(key=lambda remedy: not commits_first(remedy.operation))
    return attempts.remedies, without_parts(attempts.left)


def _try_renames(attempts: Attempts) -> None:
    for _, statements in renames(attempts.left).values():
        attempts.attempt(sql_operation(statements), drops=None)


def _try_enums(attempts: Attempts) -> None:
    """Before operations of a library: they may run in the transaction that uses the new value."""
    enums = [found for found in attempts.left if found.expected and (found.actual or "").startswith("enum ")]
    for found in enums:
        for statements in alteration(found, attempts.comparison.expected, attempts.actual):
            attempts.attempt(sql_operation(statements), drops=False)


def _try_sql(attempts: Attempts, *, drops: bool) -> None:
    for found in without_parts(attempts.left):
        if found not in attempts.left or ((found.expected is None) != drops and not is_reset(found)):
            continue
        for statements in alteration(found, attempts.comparison.expected, attempts.actual):
            if statements and attempts.attempt(sql_operation(statements), drops=drops):
                break


def _try_drops(attempts: Attempts, pending: list[Operation]) -> None:
    before = -1
    while before != len(attempts.remedies):
        before = len(attempts.remedies)
        pending = [operation for operation in pending if not attempts.attempt(operation, drops=True)]
    _try_sql(attempts, drops=True)
