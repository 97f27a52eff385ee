"""create_all before each test, drop_all after it."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from .address import METADATA

pytest_plugins = ["tests.service"]


@pytest.fixture(autouse=True)
async def tables(anyio_backend: str, app_engine: AsyncEngine) -> AsyncIterator[None]:
    async with app_engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    yield
    async with app_engine.begin() as connection:
        await connection.run_sync(METADATA.drop_all)
