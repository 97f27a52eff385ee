"""Lets migrations create and drop a role, which belongs to the whole server: the migrations run there several times.

CREATE ROLE does nothing if the role is there, and DROP ROLE does nothing if another database still needs it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event

# One statement.
CREATE = re.compile(r"\s*CREATE\s+(?:ROLE|USER|GROUP)\s[^;]*;?\s*", re.I)
DROP = re.compile(r"\s*DROP\s+(?:ROLE|USER|GROUP)\s[^;]*;?\s*", re.I)
# CREATE USER MAPPING belongs to a database.
OTHER = re.compile(r"\s*\w+\s+USER\s+MAPPING\b", re.I)
BLOCK = "DO $savepoint$ BEGIN {}; EXCEPTION WHEN {} THEN NULL; END $savepoint$"


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
    text = statement.strip().rstrip(";")
    if OTHER.match(statement):
        return statement, parameters
    if CREATE.fullmatch(statement):
        return BLOCK.format(text, "duplicate_object OR unique_violation"), parameters
    if DROP.fullmatch(statement):
        return BLOCK.format(text, "dependent_objects_still_exist OR undefined_object"), parameters
    return statement, parameters
