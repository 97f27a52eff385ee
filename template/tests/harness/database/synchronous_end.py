"""The end of a savepoint test on the synchronous connection, and sessions that were made before the test.

A session of a fixture with a wider scope stays open for many tests. Its transaction is rolled back with each test, and
the session goes on: objects are read again, and objects that the test has added are forgotten.
"""

from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, make_transient, make_transient_to_detached
from sqlalchemy.orm.session import _sessions

from ..app.sessions import is_of_lifespan
from ..connections.redirect import Redirect
from ..transaction.engine_events import Checkout, is_asynchronous


class OpenSessions:
    """The sessions that exist before a test, with their objects.

    Attributes:
        checkouts: the connections that are checked out.
    """

    def __init__(self, redirect: Redirect) -> None:
        self.checkouts = set(redirect.events.checkouts)
        self._rows: WeakKeyDictionary[Session, dict[Any, object]] = WeakKeyDictionary()
        for session in list(_sessions.values()):
            self._rows[session] = dict(session.identity_map)

    def roll_back(self) -> None:
        """End the transactions of these sessions, and give each the objects that it had before."""
        for session, rows in list(self._rows.items()):
            # Another thread may use a session of the lifespan.
            if not is_of_lifespan(session) and _is_of_postgresql(session):
                if not is_in_block(session):
                    session.rollback()
                _restore(session, rows)

    def invalidate_others(self) -> None:
        """End the transactions of sessions that the test has made and left open: a later test may use them too."""
        for session in list(_sessions.values()):
            if session not in self._rows and not is_of_lifespan(session) and session.in_transaction():
                session.invalidate()


def _is_of_postgresql(session: Session) -> bool:
    with suppress(SQLAlchemyError):
        return bool(session.get_bind().dialect.name == "postgresql")
    # Each model has an engine of its own.
    return True


def is_in_block(session: Session) -> bool:
    """Whether it is in a block `with session.begin():`, in which SQLAlchemy refuses a commit and a rollback."""
    return session._trans_context_manager is not None


def _restore(session: Session, rows: dict[Any, object]) -> None:
    for row in list(session.new):
        session.expunge(row)
    for key, row in dict(session.identity_map).items():
        if key not in rows:
            session.expunge(row)
    for key, row in rows.items():
        if key not in session.identity_map and inspect(row).session is None:
            # The test has deleted it, and the rollback has brought it back.
            make_transient(row)
            make_transient_to_detached(row)
            session.add(row)
    session.expire_all()


OPEN_SESSIONS = pytest.StashKey[OpenSessions]()


def end_synchronous(redirect: Redirect, before: OpenSessions | None) -> tuple[list[Checkout], str | None]:
    """Roll back the test; returns connections that the test has left open, and an error message or None.

    Args:
        before: what was open before the test; None if there was no synchronous engine.
    """
    transactions, is_used = redirect.synchronous.transactions, redirect.synchronous.raw is not None
    wrong = redirect.synchronous.end()
    if not is_used:
        return [], wrong
    # After the rollback: no statement is sent for what ends now.
    if before is not None:
        before.roll_back()
    old = before.checkouts if before is not None else set()
    checkouts = redirect.events.checkouts.items()
    left = [checkout for record, checkout in checkouts if record not in old and not is_asynchronous(record)]
    if before is not None:
        before.invalidate_others()
    for checkout in left:
        if (fairy := checkout.fairy()) is not None:
            fairy.invalidate()
    if left or wrong or transactions.has_ddl or transactions.is_lost:
        # Prepared statements and cached plans may be invalid, or the connection is unusable.
        redirect.synchronous.close()
    if transactions.has_set_up or redirect.synchronous.raw is None:
        redirect.engines.replace_pools()
    return left, wrong
