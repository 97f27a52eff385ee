"""DELETE from each table after each test, children first, in one round trip."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from .address import METADATA

pytest_plugins = ["tests.service"]

STATEMENTS = "; ".join(f"DELETE FROM {table.name}" for table in reversed(METADATA.sorted_tables))


@pytest.fixture(autouse=True)
async def emptied(anyio_backend: str, schema: None, app_engine: AsyncEngine) -> AsyncIterator[None]:
    yield
    async with app_engine.connect() as connection:
        # The driver's own, since it alone sends several statements at once, in a transaction that they share.
        raw: Any = await connection.get_raw_connection()
        await raw.driver_connection.execute(STATEMENTS)
