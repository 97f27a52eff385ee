"""Statements of a revision that lock or break existing tables: squawk's rules, and those that squawk does not have."""

import re
from collections.abc import Collection, Iterator

from .history import MigrationHistory
from .squawk import Unsafe, unsafe

NAME = r'(?:ONLY\s+)?((?:"[^"]+"|\w+)(?:\.(?:"[^"]+"|\w+))?)'
COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.S)
VALIDATE = re.compile(r"\bVALIDATE\s+CONSTRAINT\b", re.I)

# By rule: a statement with the name of its table, what happens, and what is safe.
STATEMENTS = {
    "update-whole-table": (
        re.compile(rf"(?:WITH\b.*?\s)?UPDATE\s+{NAME}(?!.*\bWHERE\b)", re.I | re.S),
        "All rows stay locked until the revision ends.",
        "update in batches, each in a transaction of its own: with op.get_context().autocommit_block(): a loop with "
        "UPDATE … WHERE id BETWEEN … AND …",
    ),
    "lock-table": (
        re.compile(
            rf"LOCK\s+(?:TABLE\s+)?{NAME}(?!.*\bIN\s+(?:(?:ACCESS|ROW)\s+SHARE|ROW\s+EXCLUSIVE|SHARE\s+UPDATE)\b)",
            re.I | re.S,
        ),
        "Requests that use the table wait until the revision ends.",
        "no LOCK TABLE: each ALTER TABLE takes the lock that it needs",
    ),
    "vacuum-full": (
        re.compile(rf"VACUUM\s*(?:\([^)]*\bFULL\b[^)]*\)|FULL(?:\s+(?:FREEZE|VERBOSE|ANALYZE))*)\s*{NAME}?", re.I),
        "Reads and writes wait until the table is copied.",
        "VACUUM without FULL, or pg_repack, and not in a revision",
    ),
    "cluster": (
        re.compile(rf"CLUSTER\s+(?:\([^)]*\)\s*|VERBOSE\s+)?{NAME}", re.I),
        "Reads and writes wait until the table is copied.",
        "pg_repack, and not in a revision",
    ),
    "set-unlogged": (
        re.compile(rf"ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?{NAME}.*\bSET\s+(?:UN)?LOGGED\b", re.I | re.S),
        "Reads and writes wait until the table is copied; an unlogged table is empty after a crash.",
        "a new table, filled in batches",
    ),
    "rewrite-by-access-method": (
        re.compile(
            rf"ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?{NAME}.*\bSET\s+(?:TABLESPACE|ACCESS\s+METHOD)\b", re.I | re.S
        ),
        "Reads and writes wait until the table is copied.",
        "a new table, filled in batches",
    ),
}
# Of statements that squawk checks.
TARGET = re.compile(
    rf"\s*(?:CREATE\s.*?\bINDEX\b.*?\bON\s+{NAME}|(?:ALTER|TRUNCATE|REINDEX)\s+(?:TABLE\s+)?(?:IF\s+EXISTS\s+)?{NAME})",
    re.I | re.S,
)
REQUIRED_RULE = "adding-not-nullable-field"
REQUIRED = re.compile(
    rf"ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?{NAME}\s+ALTER\s+(?:COLUMN\s+)?(\"[^\"]+\"|\w+)\s+SET\s+NOT\s+NULL", re.I
)
TEMPORARY = re.compile(
    rf"\s*CREATE\s+(?:(?:GLOBAL|LOCAL)\s+)?TEMP(?:ORARY)?\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{NAME}", re.I
)
ADDED = re.compile(r"\bADD\s+(?:COLUMN\s+)?(?:IF\s+NOT\s+EXISTS\s+)?(\"[^\"]+\"|\w+)", re.I)
FILLED = re.compile(
    rf"UPDATE\s+{NAME}.*\bWHERE\s+\(?(?:\w+\.)?(\"[^\"]+\"|\w+)\s+IS\s+NULL\s*\)?\s*;?\s*\Z", re.I | re.S
)


def unsafe_of(command: str, history: MigrationHistory, revision: str, major: int) -> list[Unsafe]:
    """The statements of one revision that lock or break tables that existed before it."""
    statements = history.statements[revision]
    # A temporary table may be gone by the end of the revision.
    temporary = {match[1] for statement in statements if (match := TEMPORARY.match(statement))}
    created = history.created.get(revision, set()) | temporary
    # In a transaction of its own, VALIDATE CONSTRAINT lets reads and writes pass.
    alone = {text for text in history.autocommitted.get(revision, ()) if VALIDATE.search(text)}
    checked = [statement for statement in statements if statement not in alone]
    found = unsafe(command, checked, major, rewrites=revision in history.rewrites)
    found = [each for each in found if not _is_new(TARGET.match(each.statement), created)]
    never_null = history.never_null.get(revision, set())
    found = [each for each in found if each.rule != REQUIRED_RULE or not _is_never_null(each.statement, never_null)]
    return [*found, *_own(statements, created)]


def _own(statements: list[str], created: Collection[str]) -> Iterator[Unsafe]:
    added: set[str] = set()
    for statement in statements:
        text = COMMENTS.sub(" ", statement).strip()
        added |= {name.strip('"') for name in ADDED.findall(text)} if text.upper().startswith("ALTER") else set()
        for rule, (pattern, message, instead) in STATEMENTS.items():
            match = pattern.match(_without_brackets(text) if rule == "update-whole-table" else text)
            if match is None and rule == "update-whole-table":
                # A new column is NULL in all rows.
                match = found if (found := FILLED.match(text)) and found[2].strip('"') in added else None
            if match and not _is_new(match, created):
                yield Unsafe(" ".join(statement.split()), rule, message, instead)
                break


def _without_brackets(text: str) -> str:
    """Without texts and subqueries, which may have a WHERE of their own."""
    shorter, text = re.sub(r"'(?:[^']|'')*'", "''", text), ""
    while shorter != text:
        text, shorter = shorter, re.sub(r"\([^()]*\)", " ", shorter)
    return text


def _is_never_null(statement: str, columns: Collection[tuple[str, str]]) -> bool:
    """Whether the statement only sets NOT NULL, for one of these columns."""
    match = REQUIRED.fullmatch(statement)
    return match is not None and _is_new(match, {table for table, column in columns if column == match[2].strip('"')})


def _is_new(match: re.Match[str] | None, created: Collection[str]) -> bool:
    """Whether the statement's table is one that the revision has created."""
    name = next((group for group in match.groups() if group), "") if match else ""
    bare = name.replace('"', "")
    return any(bare in (table.replace('"', ""), table.replace('"', "").partition(".")[2]) for table in created)
