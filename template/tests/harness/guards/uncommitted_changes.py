"""Guard: a successful response means that the changes of the request are committed."""

import asyncio

from ..app.sessions import SessionActivity, active_sessions, unflushed_models
from ..core.requests import ON_RESPONSE_START, Request
from .base import CurrentTest, Guard

# Safe methods of HTTP change nothing, so uncommitted changes are intended: RFC 9110, section 9.2.1.
SAFE = {"GET", "HEAD", "OPTIONS", "TRACE"}

CURRENT_TEST = CurrentTest()


def _check(request: Request) -> None:
    if (
        not CURRENT_TEST.is_guarded
        or request.status is None
        or request.status >= 400
        or request.scope["method"] in SAFE
    ):
        return
    responded = f"{request} responded with {request.status}"
    if request.uncommitted:
        lost = _names(request.uncommitted)
        _fire(request, f"{responded}, but a session was closed without a commit: changes to {lost} are lost.")
    open_sessions = [
        (session, activity)
        for session, activity in active_sessions(request)
        if not activity.is_settled and not _is_background(activity)
    ]
    uncommitted = {name for session, activity in open_sessions for name in activity.written | unflushed_models(session)}
    if uncommitted:
        _fire(request, f"{responded} before its session committed changes to {_names(uncommitted)}.")


def _is_background(activity: SessionActivity) -> bool:
    """Whether the session belongs to a running background task of the application; the response does not cover it."""
    if activity.task is None or activity.task.done() or activity.task is asyncio.current_task():
        return False
    code = getattr(activity.task.get_coro(), "cr_code", None)
    return code is not None and CURRENT_TEST.is_of_project(code.co_filename)


def _fire(request: Request, what: str) -> None:
    CURRENT_TEST.fires(GUARD, what, str(request))


def _names(names: set[str]) -> str:
    return ", ".join(sorted(names))


ON_RESPONSE_START.append(_check)

GUARD = Guard(
    "uncommitted_changes",
    why="The client assumes that the changes are saved, but they are lost if the commit is missing or fails.",
    instead="Commit before the response: `await session.commit()`. If a dependency commits after its `yield`, use "
    '`Depends(get_db, scope="function")`. To discard changes: `await session.rollback()`.',
    fixtures=CURRENT_TEST,
    formerly="uncommitted",
)
