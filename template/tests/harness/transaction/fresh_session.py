"""A session for tests that always reads from the database, not from its identity map.

The application changes rows in other sessions.
"""

import sys
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import ORMExecuteState, Session

# Key in the `info` of `db_session`, and in the execution options of its engine: marks the session of the test.
TEST_SESSION = "savepoint_of_test"


class FreshSession(AsyncSession):
    """Refreshes each object on every query, `get` and `get_one`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options, info={TEST_SESSION: True})
        event.listen(self.sync_session, "do_orm_execute", _populate_existing)

    # Without this option, `get` and `get_one` return objects of the identity map and send no statement.

    async def get(self, entity: Any, ident: Any, **options: Any) -> Any:
        return await super().get(entity, ident, **{"populate_existing": True, **options})

    async def get_one(self, entity: Any, ident: Any, **options: Any) -> Any:
        return await super().get_one(entity, ident, **{"populate_existing": True, **options})


def synchronous_session(engine: Engine, **options: Any) -> Session:
    """A session; of SQLModel's class if the application uses SQLModel."""
    session: Session = _session_class()(engine, **options)
    return session


def _session_class() -> Any:
    sqlmodel = sys.modules.get("sqlmodel")
    return Session if sqlmodel is None else sqlmodel.Session


def synchronous_fresh_session(engine: Engine) -> Session:
    """`FreshSession` for a synchronous engine."""
    base = _session_class()

    class SynchronousFreshSession(base):  # type: ignore[valid-type,misc]  # the class that the application uses
        def get(self, entity: Any, ident: Any, **options: Any) -> Any:
            return super().get(entity, ident, **{"populate_existing": True, **options})

        def get_one(self, entity: Any, ident: Any, **options: Any) -> Any:
            return super().get_one(entity, ident, **{"populate_existing": True, **options})

    session: Session = SynchronousFreshSession(engine, expire_on_commit=False, info={TEST_SESSION: True})
    event.listen(session, "do_orm_execute", _populate_existing)
    return session


def _populate_existing(state: ORMExecuteState) -> None:
    if state.is_select and not state.is_column_load and not state.is_relationship_load:
        state.update_execution_options(populate_existing=True)
