"""The recipe of SQLAlchemy 1.3's documentation, in asyncio: one session for test and application, in a transaction that
is rolled back; a listener begins a new SAVEPOINT whenever a commit has ended the last one.
"""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from sample.deps import get_db  # type: ignore[import-not-found]  # the project exists while it is measured
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

pytest_plugins = ["tests.service"]


@pytest.fixture
async def db_session(anyio_backend: str, schema: None, app_engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    async with app_engine.connect() as connection:
        outer = await connection.begin()
        async with AsyncSession(connection, expire_on_commit=False) as session:
            await session.begin_nested()

            @event.listens_for(session.sync_session, "after_transaction_end")
            def begin_again(sync_session: Session, ended: object) -> None:
                if not sync_session.in_nested_transaction():
                    sync_session.begin_nested()

            yield session
            event.remove(session.sync_session, "after_transaction_end", begin_again)
        await outer.rollback()


@pytest.fixture(autouse=True)
async def overridden(anyio_backend: str, app: FastAPI, db_session: AsyncSession) -> AsyncIterator[None]:
    async def get_test_db() -> AsyncIterator[AsyncSession]:
        yield db_session
        # As the real one does.
        await db_session.commit()

    app.dependency_overrides[get_db] = get_test_db
    yield
    app.dependency_overrides.clear()
