"""The statements of a revision that delete data, or that may have caused a loss, by their text."""

import re
from collections.abc import Collection, Sequence

from ..schema.locks import NAME
from .losses import Loss

COMMENTS = re.compile(r"\A(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/)+", re.S)
DELETES = re.compile(rf"(?:DELETE\s+FROM|TRUNCATE(?:\s+TABLE)?)\s+{NAME}", re.I)
TRUNCATES = re.compile(r"^\s*TRUNCATE(?:\s+TABLE)?\s+([^;]+)", re.I | re.M)
WITH = re.compile(rf"WITH\b.*?\bDELETE\s+FROM\s+{NAME}", re.I | re.S)
# What can cause each kind of loss.
CAUSES = {
    "table": r"DROP|ALTER|DO|EXECUTE",
    "column": r"DROP|ALTER|DO|EXECUTE",
    "rows": r"DELETE|TRUNCATE|DROP|DO|INSERT|MERGE",
    "null": r"UPDATE|ALTER|DO|DELETE|MERGE",
    "same": r"UPDATE|ALTER|DO|MERGE",
}


def deleting(statements: Sequence[str], tables: Collection[str]) -> list[tuple[str, str]]:
    """The table and the text of each statement that deletes rows of one of these tables, whatever rows it finds.

    Args:
        tables: as `schema.name`, quoted where PostgreSQL needs quotes.
    """
    found = []
    for statement in statements:
        text = COMMENTS.sub("", statement)
        named = DELETES.match(text) or WITH.match(text)
        if named and (table := _table(named[1], tables)):
            found.append((table, " ".join(statement.split())))
    return found


def truncated(script: str, tables: Collection[str]) -> list[str]:
    """The tables that a script truncates."""
    parts = [part for found in TRUNCATES.finditer(script) for part in found[1].split(",")]
    named = [found[1] for part in parts if (found := re.match(rf"\s*{NAME}", part, re.I))]
    return [table for name in named if (table := _table(name, tables))]


def cause(loss: Loss, statements: Sequence[str]) -> str | None:
    """The statement that has most likely caused a loss, on one line; None if several could have, and none names it."""
    table = loss.table.rpartition(".")[2].strip('"')
    verb = re.compile(rf"\b({CAUSES[loss.kind]})\b", re.I)
    rated = [
        (_names(statement, loss.column) + 2 * _names(statement, table), -place, statement)
        for place, statement in enumerate(statements)
        if verb.search(statement) and "alembic_version" not in statement
    ]
    score, _, statement = max(rated, default=(0, 0, ""))
    return " ".join(statement.split()) if score or len(rated) == 1 else None


def _names(statement: str, name: str) -> bool:
    return bool(name) and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", statement) is not None


def _table(name: str, tables: Collection[str]) -> str | None:
    bare = name.replace('"', "")
    plain = {table.replace('"', ""): table for table in tables}
    return plain.get(bare) or next((full for text, full in plain.items() if text.partition(".")[2] == bare), None)
