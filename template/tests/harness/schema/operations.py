"""The operations that Alembic's autogenerate finds missing, one by one: a key and the text of the migration."""

import ast
from collections.abc import Iterable, Iterator
from textwrap import dedent
from typing import Any

from alembic.autogenerate import render_python_code
from alembic.autogenerate.api import RevisionContext
from alembic.operations.ops import MigrateOperation, ModifyTableOps, UpgradeOps

from ..core.findings import Finding

# Of these, the name alone: the rest of their arguments are the columns of the table.
TABLES = ("create_table", "drop_table")


def missing_operations(context: RevisionContext) -> list[Finding]:
    """The missing operations of upgrade(), in order."""
    operations: Any = context.generated_revisions[-1].upgrade_ops
    texts = [_text(operation) for operation in _each(operations.ops)]
    return [Finding(key := _key(text), text, key) for text in texts if text]


def covers(operations: Iterable[Finding], name: str) -> bool:
    """Whether one of the operations creates, drops or changes an object of the catalog: `column public.books.pages`."""
    kind, _, qualified = name.partition(" ")
    parts = [part.strip('"') for part in qualified.split(".")[1:]]
    for finding in operations:
        operation, _, names = finding.key.partition(" ")
        of_operation = names.split(", ")
        if operation in TABLES and parts[:1] == of_operation[:1]:
            return True
        if parts and kind != "relation" and set(parts) <= set(of_operation):
            return True
    return False


def _each(operations: list[MigrateOperation]) -> Iterator[MigrateOperation]:
    for operation in operations:
        if isinstance(operation, ModifyTableOps):
            for part in operation.ops:
                yield ModifyTableOps(operation.table_name, [part], schema=operation.schema)
        else:
            yield operation


def _text(operation: MigrateOperation) -> str:
    lines = render_python_code(UpgradeOps([operation])).splitlines()
    return "\n".join(line for line in lines if not line.strip().startswith("#"))


def _key(text: str) -> str:
    """The operation and its names, without types: `add_column books, pages`. Versions of Alembic render types in
    different ways."""
    try:
        call = next(node for node in ast.walk(ast.parse(dedent(text))) if isinstance(node, ast.Call))
    except (SyntaxError, StopIteration):
        return " ".join(text.split())
    operation = ast.unparse(call.func).removeprefix("op.")
    names = list(_strings(call.args[:1] if operation in TABLES else call.args))
    schemas = [keyword.value for keyword in call.keywords if keyword.arg == "schema"]
    names += [f"schema {name}" for name in _strings(schemas)]
    changed = [
        keyword.arg.strip("_")
        for keyword in call.keywords
        if operation == "alter_column" and keyword.arg and not keyword.arg.startswith(("existing_", "schema"))
    ]
    return f"{operation} {', '.join([*names, *changed])}"


def _strings(nodes: list[ast.expr]) -> Iterator[str]:
    for node in nodes:
        match node:
            case ast.Constant(value=str(text)):
                yield text
            case ast.List(elts=parts):
                yield from _strings(parts)
            case ast.Call(args=[first, *_]):
                # op.f("…"), and sa.Column("…", …).
                yield from _strings([first])
