"""TRUNCATE of all tables after each test, in one statement."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from .address import METADATA

pytest_plugins = ["tests.service"]

STATEMENT = text(f"TRUNCATE {', '.join(METADATA.tables)} RESTART IDENTITY CASCADE")


@pytest.fixture(autouse=True)
async def emptied(anyio_backend: str, schema: None, app_engine: AsyncEngine) -> AsyncIterator[None]:
    yield
    async with app_engine.begin() as connection:
        await connection.execute(STATEMENT)
