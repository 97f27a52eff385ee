"""An exception with its causes, its contexts and the members of an exception group.

The outermost exception is seldom the informative one: it may come from a task group, from a `finally` block, or from
SQLAlchemy, which wraps the driver's error.
"""

from collections.abc import Iterator
from types import FrameType


def chain(error: BaseException) -> Iterator[BaseException]:
    """The exception, then its causes, contexts and group members; each once."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        found = pending.pop(0)
        if found is not None and id(found) not in seen:
            seen.add(id(found))
            yield found
            pending += [*getattr(found, "exceptions", ()), found.__cause__, found.__context__]


def frames(error: BaseException) -> list[FrameType]:
    """The frames of the exception's traceback, the innermost last."""
    found, traceback = [], error.__traceback__
    while traceback is not None:
        found.append(traceback.tb_frame)
        traceback = traceback.tb_next
    return found
