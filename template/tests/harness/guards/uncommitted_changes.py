"""Guard: when a request is answered as done, what it has written is committed."""

import asyncio

from ..core.requests import AT_ANSWER, Request
from .app_sessions import Work, changes, working
from .base import Guard
from .watch import Watch

# They change nothing, by HTTP's own definition: what a session holds there is not meant to last.
SAFE = {"GET", "HEAD", "OPTIONS", "TRACE"}

WATCH = Watch()


def _look(request: Request) -> None:
    if not WATCH.is_on or request.status is None or request.status >= 400 or request.scope["method"] in SAFE:
        return
    answered = f"{request} was answered with {request.status}"
    if request.lost:
        _fire(request, f"{answered}, and a session was closed without a commit: {_names(request.lost)} is lost.")
    open_ = [(session, work) for session, work in working(request) if not work.is_settled and not _goes_on(work)]
    still = {name for session, work in open_ for name in work.wrote | changes(session)}
    if still:
        _fire(request, f"{answered} before its session had committed what it wrote: {_names(still)}.")


def _goes_on(work: Work) -> bool:
    """Whether a task of the application's own is in the middle of it, which nobody has been told is done."""
    if work.task is None or work.task.done() or work.task is asyncio.current_task():
        return False
    code = getattr(work.task.get_coro(), "cr_code", None)
    return code is not None and WATCH.is_of_project(code.co_filename)


def _fire(request: Request, what: str) -> None:
    WATCH.fires(GUARD, what, str(request))


def _names(names: set[str]) -> str:
    return ", ".join(sorted(names))


AT_ANSWER.append(_look)

GUARD = Guard(
    "uncommitted_changes",
    why="the client is told that it is done; with no commit it is not, and a commit that comes later can still fail.",
    instead="commit before the answer: `await session.commit()`; where a dependency commits after its `yield`, write "
    '`Depends(get_db, scope="function")`. What is not meant to last ends with `await session.rollback()`.',
    fixtures=WATCH,
    formerly="uncommitted",
)
