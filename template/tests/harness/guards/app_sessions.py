"""The application's sessions that are in a transaction: for which request, and whether they have written anything.

Listened to are the events of SQLAlchemy's class `Session`, since they are the same in a savepoint test and in one with
a database of its own, and reach sessions whoever makes them. The test's own session is none of them.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from sqlalchemy import TextClause, event
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction

from ..core.requests import REQUEST, Request
from ..transaction.fresh_session import OF_TEST

# SQL that is given as text, and writes; in a group, its table.
WRITES = re.compile(r"\s*(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO)\s+([\w.\"]+)", re.I)


@dataclass(eq=False)
class Work:
    """What a session has done since its transaction began.

    Attributes:
        request: for which it was begun; None outside of any.
        task: that made it connect, and None before that.
        wrote: names of the models or tables that it has written, or has changes of that it has not sent.
        is_settled: whether its transaction ends by a commit or a rollback, and not because the session is closed.
    """

    request: Request | None
    task: asyncio.Task[Any] | None = None
    wrote: set[str] = field(default_factory=set)
    is_settled: bool = False


_WORKING: WeakKeyDictionary[Session, Work] = WeakKeyDictionary()


def working(request: Request | None) -> Iterator[tuple[Session, Work]]:
    """The sessions that are in a transaction which was begun for this request."""
    return ((session, work) for session, work in list(_WORKING.items()) if work.request is request)


def changes(session: Session) -> set[str]:
    """The models of which the session has changes that it has not sent."""
    dirty = [row for row in session.dirty if session.is_modified(row)]
    return {type(row).__name__ for rows in (session.new, dirty, session.deleted) for row in rows}


def _created(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None and OF_TEST not in session.info:
        _WORKING[session] = Work(REQUEST.get())


def _connected(session: Session, transaction: SessionTransaction, connection: object) -> None:
    if (work := _WORKING.get(session)) is not None and work.task is None:
        # A session of a thread has no event loop.
        with suppress(RuntimeError):
            work.task = asyncio.current_task()


def _executes(state: ORMExecuteState) -> None:
    if state.is_select or (work := _WORKING.get(state.session)) is None:
        return
    if isinstance(state.statement, TextClause):
        if found := WRITES.match(state.statement.text):
            work.wrote.add(found[1])
    elif state.is_insert or state.is_update or state.is_delete:
        table: Any = state.statement
        work.wrote.add(str(table.table))


def _flushed(session: Session, context: object) -> None:
    if (work := _WORKING.get(session)) is not None:
        # Before the session takes note that it has sent them.
        work.wrote |= changes(session)


def _detached(session: Session, row: object) -> None:
    # A session that is closed lets go of its objects first.
    if (work := _WORKING.get(session)) is not None and session.is_modified(row):
        work.wrote.add(type(row).__name__)


def _evicted(session: Session, row: object) -> None:
    if (work := _WORKING.get(session)) is not None:
        work.wrote.add(type(row).__name__)


def _settled(session: Session) -> None:
    if (work := _WORKING.get(session)) is not None and not session.in_nested_transaction():
        work.is_settled = True


def _rolled_back(session: Session, transaction: SessionTransaction) -> None:
    # To a savepoint, perhaps, after which it is not known what is left.
    if (work := _WORKING.get(session)) is not None:
        work.wrote.clear()


def _ended(session: Session, transaction: SessionTransaction) -> None:
    work = _WORKING.pop(session, None) if transaction.parent is None else None
    if work is not None and work.request is not None and not work.is_settled:
        work.request.lost |= work.wrote


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
