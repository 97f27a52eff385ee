"""A session for tests that always reads from the database, not from its identity map.

The application changes rows in other sessions.
"""

from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import ORMExecuteState

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


def _populate_existing(state: ORMExecuteState) -> None:
    if state.is_select and not state.is_column_load and not state.is_relationship_load:
        state.update_execution_options(populate_existing=True)
