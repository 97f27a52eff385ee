"""Lets migrations create and drop a role, which belongs to the whole server: the migrations run there several times.

CREATE ROLE does nothing if the role is there, and DROP ROLE does nothing if another database still needs it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event

COMMENT = r"--[^\n]*(?=\n|\Z)|/\*(?:(?!\*/).)*\*/"
SPACE = rf"(?:\s|{COMMENT})*"
# One statement: a `;` may stand at its end, and in a string, a name or a comment. USER MAPPING belongs to a database.
REST = rf"""\s+(?:ROLE|USER|GROUP)\s(?!\s*MAPPING\b)(?:{COMMENT}|'[^']*'|"[^"]*"|-(?!-)|/(?!\*)|[^;'"/-])*"""
CREATE, DROP = (re.compile(rf"{SPACE}({word}{REST});?{SPACE}", re.I | re.S) for word in ("CREATE", "DROP"))
# On a line of its own, since the statement may end with a comment.
BLOCK = "DO $savepoint$ BEGIN {}\n; EXCEPTION WHEN {} THEN NULL; END $savepoint$"


@contextmanager
def tolerating_roles() -> Iterator[None]:
    """In the block, statements on a role do not fail because of other databases."""
    event.listen(Engine, "before_cursor_execute", _tolerant, retval=True)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", _tolerant)


def _tolerant(
    connection: object, cursor: object, statement: str, parameters: object, *rest: object
) -> tuple[str, object]:
    if found := CREATE.fullmatch(statement):
        return BLOCK.format(found[1], "duplicate_object OR unique_violation"), parameters
    if found := DROP.fullmatch(statement):
        return BLOCK.format(found[1], "dependent_objects_still_exist OR undefined_object"), parameters
    return statement, parameters
