"""Errors that look like another, each in a savepoint test and in one with a database of its own."""

import asyncio
import traceback

import pytest
from fastapi import APIRouter
from httpx import AsyncClient
from pydantic import BaseModel, ConfigDict
from sample.deps import Db
from sample.models import User
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, MissingGreenlet
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import column_property, relationship

from tests.harness import RunningApp

User.namesakes = relationship(User, primaryjoin="foreign(User.email) == remote(User.email)", viewonly=True)
User.note = column_property(func.lower(User.email), deferred=True)

BOTH = pytest.mark.parametrize("mode", ["savepoint", pytest.param("own", marks=pytest.mark.own_database)])
ROUTER = APIRouter()


class UserOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: int


class Out(UserOut):
    namesakes: list[UserOut]


class Page(BaseModel):
    users: list[Out]


async def first(db: AsyncSession) -> User:
    return (await db.scalars(select(User))).one()


@ROUTER.get("/response-model", response_model=Out)
async def response_model(db: Db) -> User:
    return await first(db)


@ROUTER.get("/page", response_model=Page)
async def page(db: Db) -> dict[str, list[User]]:
    return {"users": [await first(db)]}


@ROUTER.get("/validated")
async def validated(db: Db) -> Out:
    return Out.model_validate(await first(db))


@ROUTER.get("/read")
async def read(db: Db) -> int:
    return len((await first(db)).namesakes)


@ROUTER.get("/raised-again")
async def raised_again(db: Db) -> int:
    try:
        return len((await first(db)).namesakes)
    except MissingGreenlet as error:
        raise LookupError("no namesakes") from error


@ROUTER.get("/in-a-group")
async def in_a_group(db: Db) -> None:
    user = await first(db)

    async def count() -> int:
        return len(user.namesakes)

    async with asyncio.TaskGroup() as group:
        group.create_task(count())


@ROUTER.get("/expired")
async def expired(db: Db) -> str:
    user = await first(db)
    db.expire(user)
    return user.email


@ROUTER.get("/deferred")
async def read_deferred(db: Db) -> str:
    return (await first(db)).note


@ROUTER.get("/swallowed")
async def swallowed(db: Db) -> None:
    try:
        await db.execute(text("SELECT 1 / 0"))
    except DBAPIError:
        await db.execute(text("SELECT 1"))


@pytest.fixture(scope="module", autouse=True)
def routes(running_app: RunningApp) -> None:
    running_app.app.include_router(ROUTER)


PATHS = ["response-model", "page", "validated", "read", "raised-again", "in-a-group", "expired", "deferred"]


@BOTH
@pytest.mark.parametrize("path", [*PATHS, "swallowed"])
async def test_route(client: AsyncClient, path: str, mode: str) -> None:
    await client.post("/users", json={"email": "ada@example.com"})

    await client.get(f"/{path}")


@BOTH
async def test_in_the_test_itself(client: AsyncClient, db_session: AsyncSession, mode: str) -> None:
    await client.post("/users", json={"email": "ada@example.com"})

    print((await first(db_session)).namesakes)


@BOTH
async def test_synchronously(client: AsyncClient, session_factory: async_sessionmaker[AsyncSession], mode: str) -> None:
    async with session_factory() as session:
        session.sync_session.scalars(select(User))


def test_without_a_database() -> None:
    async def make() -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()

    future = asyncio.run(make())

    async def wait() -> None:
        await future

    asyncio.run(wait())


async def test_what_the_test_expects(client: AsyncClient) -> None:
    await client.post("/users", json={"email": "ada@example.com"})

    with pytest.raises(MissingGreenlet) as error:
        await client.get("/read")

    assert any("sqlalchemy" in frame.filename for frame in traceback.extract_tb(error.tb))


@BOTH
async def test_a_pool_of_one(client: AsyncClient, engine: AsyncEngine, mode: str) -> None:
    small = create_async_engine(engine.url, pool_size=1, max_overflow=0, pool_timeout=0)
    async with small.connect(), small.connect():
        pass
