"""A session for tests that reads what the database holds, not what it remembers.

The application changes rows behind its back, in sessions of its own.
"""

from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import ORMExecuteState

# In `info` of a test's own session, and among the options of its engine, by which it is known from the application's.
OF_TEST = "savepoint_of_test"


class FreshSession(AsyncSession):
    """Every object is read anew whenever it is asked for, by a query or by its key."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options, info={OF_TEST: True})
        event.listen(self.sync_session, "do_orm_execute", _populate_existing)

    # `get` and `get_one` answer from memory, and send nothing.

    async def get(self, entity: Any, ident: Any, **options: Any) -> Any:
        return await super().get(entity, ident, **{"populate_existing": True, **options})

    async def get_one(self, entity: Any, ident: Any, **options: Any) -> Any:
        return await super().get_one(entity, ident, **{"populate_existing": True, **options})


def _populate_existing(state: ORMExecuteState) -> None:
    if state.is_select and not state.is_column_load and not state.is_relationship_load:
        state.update_execution_options(populate_existing=True)
