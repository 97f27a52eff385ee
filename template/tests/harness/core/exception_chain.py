"""An exception, and every exception that it came from or that stands inside it.

What a reader has to know is seldom the outermost: a task group, a `finally` that fails, a driver's error, which
SQLAlchemy has made its own of.
"""

from collections.abc import Iterator
from types import FrameType


def chain(error: BaseException) -> Iterator[BaseException]:
    """The exception, then its causes, contexts and, if it is a group, parts; each once."""
    seen: set[int] = set()
    to_see: list[BaseException | None] = [error]
    while to_see:
        found = to_see.pop(0)
        if found is not None and id(found) not in seen:
            seen.add(id(found))
            yield found
            to_see += [*getattr(found, "exceptions", ()), found.__cause__, found.__context__]


def frames(error: BaseException) -> list[FrameType]:
    """The frames that the exception went through, the innermost last."""
    found, traceback = [], error.__traceback__
    while traceback is not None:
        found.append(traceback.tb_frame)
        traceback = traceback.tb_next
    return found
