"""The kind of a statement, by its text: read, write, DDL, or control of transactions and savepoints.

A SELECT that calls a function counts as a read, although the function may write. A rollback undoes these writes, unless
another transaction has begun before it.
"""

import re
from enum import Enum, auto
from functools import lru_cache

# Comments, strings and quoted identifiers: their words are ignored.
QUOTED = re.compile(r"""--[^\n]*|/\*.*?\*/|\be'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"[^"]*\"""", re.S)
WORD = re.compile(r"\w+")
READS = {"select", "show", "values", "table", "explain", "fetch", "move", "close", "declare", "listen", "unlisten"}
# EXPLAIN ANALYZE executes the statement, a CTE may contain a statement that writes, SELECT INTO creates a table.
WRITES = re.compile(r"(?<![.\w])(?:into|update|delete\s+from|analyze)\b")
# A function, except keywords and functions that only read.
CALLS = re.compile(
    r"\b(?!(?:select|from|join|as|on|in|any|all|some|and|or|not|exists|where|values|filter|over|by|union|except|when|then"
    r"|else|intersect|lateral|with|materialized|array|row|limit|offset|having|count|sum|min|max|avg|coalesce|nullif"
    r"|greatest|least|lower|upper|length|trim|substring|concat|replace|round|abs|now|cast|extract|date_trunc|to_char"
    r"|current_setting|set_config|pg_\w+|json\w*|array_\w+|string_agg|bool_\w+|row_number|rank|unnest|generate_series"
    r"|varchar|char|numeric|timestamp|time|bit)\b)[a-z_]\w*\s*\("
)
LOCKS = re.compile(r"\bfor\s+(?:no\s+key\s+)?(?:update|share)\b|\bfor\s+key\s+share\b")
DDL = {"create", "alter", "drop", "truncate", "grant", "revoke", "comment", "reindex", "refresh", "do", "call"}
ENDS = {"commit", "end", "abort", "begin", "start", "prepare"}


class Kind(Enum):
    """The kind of a statement."""

    READ = auto()
    # A SELECT that calls a function, which may write.
    CALL = auto()
    WRITE = auto()
    DDL = auto()
    SAVEPOINT = auto()
    RELEASE = auto()
    ROLLBACK_TO = auto()
    # BEGIN, COMMIT or ROLLBACK.
    TRANSACTION = auto()


SAVEPOINTS = (Kind.SAVEPOINT, Kind.RELEASE, Kind.ROLLBACK_TO)


@lru_cache(4096)
def kind_of(statement: str) -> Kind:
    """The kind of a statement, by its first words."""
    text = QUOTED.sub(" ", statement.lower())
    first, *following = WORD.findall(text.lstrip(" \n\t(;")[:60]) or [""]
    match first:
        case "savepoint":
            return Kind.SAVEPOINT
        case "release":
            return Kind.RELEASE
        case "rollback":
            return Kind.ROLLBACK_TO if "to" in following else Kind.TRANSACTION
        case "prepare":
            return Kind.TRANSACTION if following[:1] == ["transaction"] else Kind.READ
        case "set":
            return Kind.READ
        case _ if first in ENDS:
            return Kind.TRANSACTION
        case _ if first in DDL:
            return Kind.DDL
        case _ if first in READS or first == "with":
            # FOR UPDATE is not an UPDATE.
            if WRITES.search(LOCKS.sub("", text)):
                return Kind.WRITE
            return Kind.CALL if CALLS.search(text) else Kind.READ
    return Kind.WRITE
