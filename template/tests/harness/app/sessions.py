"""The application's sessions that are in a transaction: the request of each, and whether it has written anything.

The events of SQLAlchemy's class `Session` are used, since they are the same in a savepoint test and in a test with its
own database, and cover every session. The test's own session is excluded.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import pytest
from sqlalchemy import TextClause, event
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction

from ..core.requests import REQUEST, Request
from ..transaction.fresh_session import TEST_SESSION
from ..transaction.logical_connection import IN_LIFESPAN

# SQL text that writes; the group is its table.
WRITES = re.compile(r"\s*(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO)\s+([\w.\"]+)", re.I)


@dataclass(eq=False)
class SessionActivity:
    """What a session has done since its transaction began.

    Attributes:
        request: the request in which the transaction began; None outside of requests.
        task: the task in which the session connected; None before that.
        written: names of the models or tables that it has written.
        is_settled: whether the transaction was committed or rolled back, and not only closed.
    """

    request: Request | None
    task: asyncio.Task[Any] | None = None
    written: set[str] = field(default_factory=set)
    is_settled: bool = False


_OF_LIFESPAN: WeakSet[Session] = WeakSet()
_ACTIVE: WeakKeyDictionary[Session, SessionActivity] = WeakKeyDictionary()


def active_sessions(request: Request | None) -> Iterator[tuple[Session, SessionActivity]]:
    """The sessions that are in a transaction which began in this request."""
    return ((session, activity) for session, activity in list(_ACTIVE.items()) if activity.request is request)


def unflushed_models(session: Session) -> set[str]:
    """The models of which the session has unflushed changes."""
    dirty = [row for row in session.dirty if session.is_modified(row)]
    return {type(row).__name__ for rows in (session.new, dirty, session.deleted) for row in rows}


def is_of_lifespan(session: Session) -> bool:
    """Whether a lifespan, or a task that it started, has used the session."""
    return session in _OF_LIFESPAN


def _created(session: Session, transaction: SessionTransaction) -> None:
    # Not its truth: see `Serving`.
    if IN_LIFESPAN.get() is not False:
        _OF_LIFESPAN.add(session)
    if transaction.parent is None and TEST_SESSION not in session.info:
        _ACTIVE[session] = SessionActivity(REQUEST.get())


def _connected(session: Session, transaction: SessionTransaction, connection: object) -> None:
    if (activity := _ACTIVE.get(session)) is not None and activity.task is None:
        # A thread has no event loop.
        with suppress(RuntimeError):
            activity.task = asyncio.current_task()


def _executes(state: ORMExecuteState) -> None:
    if state.is_select or (activity := _ACTIVE.get(state.session)) is None:
        return
    if isinstance(state.statement, TextClause):
        if found := WRITES.match(state.statement.text):
            activity.written.add(found[1])
    elif state.is_insert or state.is_update or state.is_delete:
        table: Any = state.statement
        activity.written.add(str(table.table))


def _flushed(session: Session, context: object) -> None:
    if (activity := _ACTIVE.get(session)) is not None:
        # At this event, the session still lists its changes.
        activity.written |= unflushed_models(session)


def _detached(session: Session, row: object) -> None:
    # close() detaches the objects first.
    if (activity := _ACTIVE.get(session)) is not None and session.is_modified(row):
        activity.written.add(type(row).__name__)


def _evicted(session: Session, row: object) -> None:
    if (activity := _ACTIVE.get(session)) is not None:
        activity.written.add(type(row).__name__)


def _settled(session: Session) -> None:
    if (activity := _ACTIVE.get(session)) is not None and not session.in_nested_transaction():
        activity.is_settled = True


def _rolled_back(session: Session, transaction: SessionTransaction) -> None:
    # Maybe to a savepoint only; what remains is unknown.
    if (activity := _ACTIVE.get(session)) is not None:
        activity.written.clear()


def _ended(session: Session, transaction: SessionTransaction) -> None:
    activity = _ACTIVE.pop(session, None) if transaction.parent is None else None
    if activity is not None and activity.request is not None and not activity.is_settled:
        activity.request.uncommitted |= activity.written


LISTENERS: dict[str, Callable[..., None]] = {
    "after_transaction_create": _created,
    "after_begin": _connected,
    "do_orm_execute": _executes,
    "after_flush": _flushed,
    "persistent_to_detached": _detached,
    "pending_to_transient": _evicted,
    "after_soft_rollback": _rolled_back,
    "after_commit": _settled,
    "after_rollback": _settled,
    "after_transaction_end": _ended,
}


def configure(config: pytest.Config) -> None:
    for name, function in LISTENERS.items():
        event.listen(Session, name, function)
        config.add_cleanup(partial(event.remove, Session, name, function))
