"""A lifespan with tasks that use the database beside the tests: one polls, one writes, and one fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sample.main import create_app
from sample.models import User
from sample.settings import Settings
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

MODES = ["savepoint", pytest.param("own", marks=pytest.mark.own_database)]
NUMBERS = range(5)


async def read(session_factory: async_sessionmaker[AsyncSession]) -> None:
    while True:
        async with session_factory() as session:
            await session.scalar(select(User.id).with_for_update(skip_locked=True).limit(1))
            await session.commit()
        await asyncio.sleep(0)


async def work(session_factory: async_sessionmaker[AsyncSession]) -> None:
    """Takes what is to be done, commits, and says what it has done in a transaction of its own."""
    while True:
        async with session_factory() as session:
            done = (
                update(User).where(User.email.startswith("todo")).values(email=func.replace(User.email, "todo", "done"))
            )
            await session.execute(done)
            await session.commit()
        await asyncio.sleep(0)


async def fail(session_factory: async_sessionmaker[AsyncSession]) -> None:
    """Has nothing to save, and does not care."""
    while True:
        async with session_factory() as session:
            with suppress(DBAPIError):
                await session.execute(text("SELECT 1 / 0"))
            with suppress(DBAPIError):
                await session.commit()
        await asyncio.sleep(0)


@pytest.fixture(scope="session")
def app(settings: Settings) -> FastAPI:
    app = create_app(settings)
    lifespan = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan_with_tasks(app: FastAPI) -> AsyncIterator[Any]:
        async with lifespan(app) as state:
            tasks = [asyncio.create_task(task(state["session_factory"])) for task in (read, work, fail)]
            yield state
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    app.router.lifespan_context = lifespan_with_tasks
    return app


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("mode", MODES)
async def test_the_work_is_done(client: AsyncClient, db_session: AsyncSession, mode: str, number: int) -> None:
    assert (await client.post("/users", json={"email": "todo@example.com"})).status_code == 201

    while await db_session.scalar(select(User.email)) != "done@example.com":
        await db_session.rollback()
        await asyncio.sleep(0)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("mode", MODES)
async def test_what_is_not_committed_is_not_seen(db_session: AsyncSession, mode: str, number: int) -> None:
    db_session.add(User(email="todo@example.com"))
    await db_session.flush()
    for _ in range(20):
        await db_session.execute(text("SELECT 1"))

    assert (await db_session.scalars(select(User.email))).all() == ["todo@example.com"]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("mode", MODES)
async def test_a_test_that_does_nothing(client: AsyncClient, mode: str, number: int) -> None:
    await asyncio.sleep(0)


async def test_nothing_is_left(db_session: AsyncSession) -> None:
    assert (await db_session.scalars(select(User.email))).all() == []
