"""A session for tests that reads what the database holds, not what it remembers.

The application changes rows behind its back, in sessions of its own.
"""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

# In `info` of a test's own session, by which it is known from those of the application.
OF_TEST = "savepoint_of_test"


class FreshSession(AsyncSession):
    """Every object is read anew whenever it is asked for, by a query or by its key."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options, info={OF_TEST: True}, execution_options={"populate_existing": True})

    # `get` and `get_one` answer from memory whatever the session's execution options are.

    async def get(self, entity: Any, ident: Any, **options: Any) -> Any:
        return await super().get(entity, ident, **{"populate_existing": True, **options})

    async def get_one(self, entity: Any, ident: Any, **options: Any) -> Any:
        return await super().get_one(entity, ident, **{"populate_existing": True, **options})
