"""Finds operations that make the migrated schema that of the models, by trying them on a copy of the database.

An operation is shown only if, after it has run there, PostgreSQL's catalog differs less. What Alembic or this harness
believes to differ does not count, and what is printed runs when it is pasted.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from .alteration import alteration, renames
from .catalog import Catalog, Difference, Rows, catalog_by, parent, split, wholes, without_parts
from .drift import Comparison
from .history import sender
from .operations import AUTOCOMMIT, Operation, commits_first, is_of, sql_operation

# Of an object that only the migrations have, and that belongs to a table of the models. Others are never dropped.
DROPPED = ("column", "constraint", "index")
RESET = ("not null", "default", "comment", "storage parameters", "replica identity", "column options")

# Not TRUNCATE, which would make an invalid index valid. Without triggers and foreign keys.
EMPTY = """
DO $$
DECLARE name regclass;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR name IN SELECT oid FROM pg_class WHERE relkind = 'r' AND oid >= 16384 AND NOT EXISTS (
        SELECT FROM pg_depend WHERE objid = pg_class.oid AND classid = 'pg_class'::regclass AND deptype = 'e')
    LOOP EXECUTE format('DELETE FROM ONLY %s', name); END LOOP;
END $$
"""


@dataclass(frozen=True)
class Remedy:
    """An operation that has made differences disappear.

    Args:
        mends: the differences; of an object that is missing, the object.
        drops: whether it drops an object that only the migrations have.
    """

    operation: Operation
    mends: tuple[Difference, ...]
    drops: bool = False


class Trial:
    """Tries operations, each in its own transaction, which is committed if it helps.

    Args:
        connection: to a copy of the migrated database, which is changed.
        comparison: with the models.
        metadata: of the models; its naming convention applies in a migration.
    """

    def __init__(self, connection: sa.Connection, comparison: Comparison, metadata: sa.MetaData) -> None:
        self._connection = connection
        self._comparison = comparison
        self._options = {"target_metadata": metadata}
        self._rows: Rows = sender(connection)
        self.remedies: list[Remedy] = []
        # An operation must not fail for a row. A user that may not do this keeps the rows.
        with suppress(DBAPIError), connection.begin():
            self._rows(EMPTY)
        with connection.begin():
            self.actual: Catalog = catalog_by(self._rows)
            self.left = comparison.differences(self._rows, self.actual)
        self._wholes = wholes(self.left)

    def run(self, operations: Iterable[Operation]) -> None:
        """Try Alembic's operations, and SQL for what they do not mend."""
        pending = list(operations)
        self._try_renames()
        self._try_enums()
        before = -1
        while self.left and before != len(self.remedies):
            before = len(self.remedies)
            pending = [operation for operation in pending if not self._try(operation, drops=False)]
            if before == len(self.remedies):
                self._try_sql(drops=False)
        self._try_drops(pending)
        # They run alone, and what they add may be used by the others.
        self.remedies.sort(key=lambda remedy: not commits_first(remedy.operation))

    def _try_renames(self) -> None:
        for _, statements in renames(self.left).values():
            self._try(sql_operation(statements), drops=None)

    def _try_enums(self) -> None:
        """Before operations of a library: they may run in the transaction that uses the new value."""
        enums = [found for found in self.left if found.expected and (found.actual or "").startswith("enum ")]
        for found in enums:
            for statements in alteration(found, self._comparison.expected, self.actual):
                self._try(sql_operation(statements), drops=False)

    def _try_sql(self, *, drops: bool) -> None:
        for difference in list(self.left):
            if difference not in self.left or ((difference.expected is None) != drops and not _is_reset(difference)):
                continue
            for statements in alteration(difference, self._comparison.expected, self.actual):
                if statements and self._try(sql_operation(statements), drops=drops):
                    break

    def _try_drops(self, pending: list[Operation]) -> None:
        before = -1
        while before != len(self.remedies):
            before = len(self.remedies)
            pending = [operation for operation in pending if not self._try(operation, drops=True)]
        self._try_sql(drops=True)

    def _try(self, operation: Operation, *, drops: bool | None) -> bool:
        """Whether the operation helps; it is kept then. `drops` is None for a rename."""
        if not is_of(operation, self.left):
            return False
        transaction = self._connection.begin()
        try:
            operation = self._execute(operation)
            actual = catalog_by(self._rows)
            left = self._comparison.differences(self._rows, actual)
            gone = {found.name for found in self.left} - {found.name for found in left}
            mended = dict.fromkeys(self._wholes[found.name] for found in self.left if found.name in gone)
            helps = bool(mended) and all(_may_mend(difference, drops=drops) for difference in mended)
            helps = helps and not any(self._is_new(found, gone) for found in left)
        except Exception:
            # Anything that an operation may raise: of PostgreSQL, SQLAlchemy, Alembic, or of the project's own types.
            helps = False
        if not helps:
            transaction.rollback()
            return False
        transaction.commit()
        self.left, self.actual = left, actual
        self._wholes = {found.name: found for found in left} | self._wholes
        self.remedies.append(Remedy(operation, tuple(mended), bool(drops)))
        return True

    def _is_new(self, found: Difference, gone: set[str]) -> bool:
        """Whether an operation has made a difference. A new table may have privileges by default."""
        is_of_new_object = found.name.startswith("grant ") and parent(found.name, "") in gone
        return found.name not in self._wholes and not is_of_new_object

    def _op(self) -> Operations:
        return Operations(MigrationContext.configure(self._connection, opts=self._options))

    def _execute(self, operation: Operation) -> Operation:
        """Run the text of an operation; returns the operation with the imports that it was found to need."""
        text = operation.text.replace(AUTOCOMMIT, "")
        while True:
            names: dict[str, Any] = {"op": self._op(), "sa": sa}
            try:
                exec("\n".join([*sorted(operation.imports), text]), names)
            except NameError as error:
                line = _import_of(error.name)
                if line is None or line in operation.imports:
                    raise
                operation = operation.importing(line)
            else:
                return operation


def _may_mend(difference: Difference, *, drops: bool | None) -> bool:
    """Whether an operation may make a difference disappear: it must not drop what no model names."""
    if drops is None or difference.expected is not None or _is_reset(difference):
        return True
    return drops and split(difference.name)[0] in DROPPED


def _is_reset(difference: Difference) -> bool:
    return difference.expected is None and split(difference.name)[0] in RESET


def _import_of(name: str | None) -> str | None:
    if name == "postgresql":
        return "from sqlalchemy.dialects import postgresql"
    for module in (sa, postgresql):
        if name and hasattr(module, name):
            return f"from {module.__name__} import {name}"
    return None


def remedies(
    connection: sa.Connection, comparison: Comparison, operations: Iterable[Operation], metadata: sa.MetaData
) -> tuple[list[Remedy], list[Difference]]:
    """The operations that help, in an order that works, and the differences that none mends."""
    trial = Trial(connection, comparison, metadata)
    trial.run(operations)
    return trial.remedies, without_parts(trial.left)
