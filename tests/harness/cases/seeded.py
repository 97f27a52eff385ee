"""Rows that are there before the first test, by `seed_data` and by the lifespan: in each test, of both modes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sample.main import create_app
from sample.models import User
from sample.settings import Settings
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from tests.harness import SeedData

SEEDED = ["seed@example.com", "lifespan@example.com"]
MODES = ["savepoint", pytest.param("own", marks=pytest.mark.own_database)]


@pytest.fixture(scope="session")
def seed_data() -> SeedData:
    async def write(session: AsyncSession) -> None:
        session.add(User(email="seed@example.com"))

    return write


@pytest.fixture(scope="session")
def app(settings: Settings) -> FastAPI:
    app = create_app(settings)
    lifespan = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan_that_seeds(app: FastAPI) -> AsyncIterator[Any]:
        async with lifespan(app) as state:
            async with state["session_factory"].begin() as session:
                assert (await session.scalars(select(User.email))).all() == ["seed@example.com"]
                session.add(User(email="lifespan@example.com"))
            yield state

    app.router.lifespan_context = lifespan_that_seeds
    return app


async def users(session: AsyncSession) -> list[str]:
    return list((await session.scalars(select(User.email).order_by(User.id))).all())


@pytest.mark.parametrize("repeat", [1, 2])
@pytest.mark.parametrize("mode", MODES)
async def test_each_test_has_them_and_may_delete_them(
    client: AsyncClient, db_session: AsyncSession, mode: str, repeat: int
) -> None:
    assert await users(db_session) == SEEDED

    await db_session.execute(delete(User))
    await db_session.commit()
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201

    assert await users(db_session) == ["ada@example.com"]
