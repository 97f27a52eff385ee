"""Operations of a migration, as the text that is pasted into upgrade(): Alembic's, and SQL from the catalog.

Alembic's autogenerate words what the catalog found: whether a type or a default differs, the catalog says.
"""

import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import render_op
from alembic.ddl.postgresql import PostgresqlImpl
from alembic.operations.ops import DropTableOp, MigrateOperation, ModifyTableOps, UpgradeOps
from alembic.runtime.migration import MigrationContext

from .catalog import Difference, split, unquoted

# A name after a colon is a parameter of SQLAlchemy's text().
PARAMETER = re.compile(r"(?<![:\w\\]):(?=\w+(?!:))")
# The new value cannot be used before a commit.
ADDS_VALUE = re.compile(r"ALTER TYPE .* ADD VALUE ")
AUTOCOMMIT = "with op.get_context().autocommit_block():\n    "


@dataclass(frozen=True)
class Operation:
    """An operation.

    Args:
        text: Python code, with `op` and `sa`.
        imports: the imports that it needs besides.
        table: the schema and the name of its table; () if it may be of any.
    """

    text: str
    imports: frozenset[str] = frozenset()
    table: tuple[str, ...] = ()

    def then(self, other: "Operation") -> "Operation":
        """Both, as one operation."""
        return replace(self, text=f"{self.text}\n{other.text}", imports=self.imports | other.imports)

    def importing(self, line: str) -> "Operation":
        """The same with one more import."""
        return replace(self, imports=self.imports | {line})


@contextmanager
def judged_by_catalog(found: Iterable[Difference]) -> Iterator[dict[str, Any]]:
    """Let Alembic find the types and defaults that the catalog has found to differ; yields options of env.py for that.

    Alembic compares a default by running `SELECT '{}' = default`, which PostgreSQL refuses for json.
    """
    names = {(kind, unquoted(name)) for kind, name in (split(difference.name) for difference in found)}

    def differs(kind: str, column: Any) -> bool:
        return (kind, (column.table.schema or "public", column.table.name, column.name)) in names

    def compare_type(context: object, inspected: object, column: Any, *types: object) -> bool:
        return differs("column", column)

    def compare_server_default(impl: object, inspected: object, column: Any, *defaults: object) -> bool:
        return differs("default", column)

    before = PostgresqlImpl.compare_server_default
    # By a function as an option of env.py, Alembic 1.20 fails for a column with an identity.
    PostgresqlImpl.compare_server_default = compare_server_default  # type: ignore[method-assign]
    try:
        with warnings.catch_warnings():
            # Of differences that Alembic cannot word.
            warnings.simplefilter("ignore")
            yield {
                "compare_type": compare_type,
                "compare_server_default": True,
                "include_schemas": True,
                "render_as_batch": False,
            }
    finally:
        PostgresqlImpl.compare_server_default = before  # type: ignore[method-assign]


def alembic_operations(context: MigrationContext, missing: UpgradeOps) -> list[Operation]:
    """Alembic's operations in order, without those that drop a table.

    What drops a constraint or an index and what creates it again are one operation.
    """
    found: dict[object, Operation] = {}
    for each in _each(missing.ops):
        if isinstance(each, DropTableOp) or not (operation := _rendered(each, context)):
            continue
        name = getattr(each, "constraint_name", None) or getattr(each, "index_name", None)
        key = (operation.table, name) if name else object()
        found[key] = found[key].then(operation) if key in found else operation
    return list(found.values())


def _each(operations: list[MigrateOperation]) -> Iterator[MigrateOperation]:
    for operation in operations:
        if isinstance(operation, ModifyTableOps):
            yield from _each(operation.ops)
        else:
            yield operation


def _rendered(operation: MigrateOperation, context: MigrationContext) -> Operation | None:
    autogenerate = AutogenContext(context)
    text = "\n".join(render_op(autogenerate, operation))
    table = getattr(operation, "table_name", None) or getattr(operation, "source_table", None)
    schema = getattr(operation, "schema", None) or getattr(operation, "source_schema", None) or "public"
    if not text.strip():
        return None
    lines = {line for each in autogenerate.imports for line in each.splitlines()}
    return Operation(text, frozenset(lines), (schema, table) if isinstance(table, str) else ())


def is_of(operation: Operation, found: Iterable[Difference]) -> bool:
    """Whether an operation is of a table that has a difference, or of no table."""
    if not operation.table:
        return True
    return any(operation.table[-1] in str(difference) for difference in found)


def sql_operation(statements: list[str]) -> Operation:
    """Statements as `op.execute("…")`."""
    return Operation("\n".join(map(_execute, statements)))


def _execute(statement: str) -> str:
    statement = PARAMETER.sub(r"\:", statement)
    if '"' not in statement and "\\" not in statement and "\n" not in statement:
        literal = f'"{statement}"'
    elif '"""' not in statement and "\n" in statement:
        literal = '"""' + statement.replace("\\", "\\\\") + '"""'
    else:
        literal = repr(statement)
    return f"{AUTOCOMMIT if ADDS_VALUE.match(statement) else ''}op.execute({literal})"


def commits_first(operation: Operation) -> bool:
    """Whether the operation commits what ran before it in its migration."""
    return operation.text.startswith(AUTOCOMMIT)
