"""Tries operations of a migration on a copy of the database: an operation helps if fewer objects differ after it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from .catalog import Catalog, Difference, Rows, catalog_by, parent, sender, split, unquoted, wholes
from .drift import Comparison
from .operations import AUTOCOMMIT, Operation, is_of

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


class Attempts:
    """Tries operations, each in its own transaction, which is committed if it helps.

    Args:
        connection: to a copy of the migrated database, which is changed.
        comparison: with the models.
        metadata: of the models; its naming convention applies in a migration.
    """

    def __init__(self, connection: sa.Connection, comparison: Comparison, metadata: sa.MetaData) -> None:
        self._connection = connection
        self.comparison = comparison
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

    def attempt(self, operation: Operation, *, drops: bool | None) -> bool:
        """Whether the operation helps; it is kept then. `drops` is None for a rename."""
        return is_of(operation, self.left) and bool(self._attempt([operation], drops=drops))

    def attempt_together(self, operations: Sequence[Operation]) -> list[Operation]:
        """Try operations with one look at the catalog; returns those that are to be tried alone.

        The catalog of thousands of tables takes a second.
        """
        wanted = [each for each in operations if is_of(each, self.left) and not _only_drops(each)]
        helping = self._attempt(wanted, drops=False)
        return [operation for operation in operations if operation not in helping]

    def _attempt(self, operations: Sequence[Operation], *, drops: bool | None) -> list[Operation]:
        """Run operations; keeps and returns those that ran, if they help and make no other difference."""
        transaction = self._connection.begin()
        ran = {operation: changed for operation in operations if (changed := self._execute(operation))}
        actual = catalog_by(self._rows) if ran else self.actual
        left = self.comparison.differences(self._rows, actual) if ran else self.left
        gone = {found.name for found in self.left} - {found.name for found in left}
        mended = list(dict.fromkeys(self._wholes[found.name] for found in self.left if found.name in gone))
        new = [found for found in left if self._is_new(found, gone)]
        if not mended or new or not all(may_mend(difference, drops=drops) for difference in mended):
            transaction.rollback()
            # Once more without the tables that would differ.
            others = [operation for operation in operations if not is_of(operation, new)]
            return self._attempt(others, drops=drops) if 0 < len(others) < len(operations) and new else []
        transaction.commit()
        self.left, self.actual = left, actual
        self._wholes = {found.name: found for found in left} | self._wholes
        self.remedies += _attributed(list(ran.values()), mended, drops=bool(drops))
        return list(ran)

    def _is_new(self, found: Difference, gone: set[str]) -> bool:
        """Whether an operation has made a difference. A new table may have privileges by default."""
        is_of_new_object = found.name.startswith("grant ") and parent(found.name, "") in gone
        return found.name not in self._wholes and not is_of_new_object

    def _op(self) -> Operations:
        return Operations(MigrationContext.configure(self._connection, opts=self._options))

    def _execute(self, operation: Operation) -> Operation | None:
        """Run the text of an operation; returns it with the imports that it was found to need, or None if it fails."""
        code = operation.text.replace(AUTOCOMMIT, "")
        names: dict[str, Any] = {"op": self._op(), "sa": sa}
        try:
            with self._connection.begin_nested():
                exec("\n".join([*sorted(operation.imports), code]), names)
        except NameError as error:
            line = _import_of(error.name)
            return self._execute(operation.importing(line)) if line and line not in operation.imports else None
        except Exception:
            # Anything that an operation may raise: of PostgreSQL, SQLAlchemy, Alembic, or of the project's own types.
            return None
        return operation


def _only_drops(operation: Operation) -> bool:
    return operation.text.startswith("op.drop_") and "op.create_" not in operation.text


def _attributed(operations: Sequence[Operation], mended: Sequence[Difference], *, drops: bool) -> list[Remedy]:
    """What each of the operations has mended, by its table; those without a difference of their table are left out."""
    if len(operations) == 1:
        return [Remedy(operations[0], tuple(mended), drops)]
    found, rest = [], list(mended)
    for operation in operations:
        of_table = [each for each in mended if _table(each) == operation.table]
        named = [each for each in of_table if unquoted(each.name)[-1] in operation.text] or of_table[:1]
        if named:
            found.append(Remedy(operation, tuple(named), drops))
            rest = [each for each in rest if each not in named]
    if rest and found:
        found[0] = Remedy(found[0].operation, (*rest, *found[0].mends), drops)
    return found or [Remedy(operations[0], tuple(mended), drops)]


def _table(difference: Difference) -> tuple[str, ...]:
    name: str | None = difference.name
    definition = difference.expected or difference.actual or ""
    while name is not None and not name.startswith("relation "):
        name = parent(name, definition)
    return unquoted(split(name)[1]) if name else ()


def may_mend(difference: Difference, *, drops: bool | None) -> bool:
    """Whether an operation may make a difference disappear: it must not drop what no model names."""
    if drops is None or difference.expected is not None or is_reset(difference):
        return True
    return drops and split(difference.name)[0] in DROPPED


def is_reset(difference: Difference) -> bool:
    return difference.expected is None and split(difference.name)[0] in RESET


def _import_of(name: str | None) -> str | None:
    if name == "postgresql":
        return "from sqlalchemy.dialects import postgresql"
    for module in (sa, postgresql):
        if name and hasattr(module, name):
            return f"from {module.__name__} import {name}"
    return None
