"""Routes that make guards fire."""

import functools
import os
import time

import httpx
from fastapi import APIRouter, Request
from sample.deps import Db
from sample.models import User
from sqlalchemy import select

router = APIRouter()


@functools.lru_cache
def currency() -> str:
    return os.environ.get("DEFAULT_CURRENCY", "eur")


async def block() -> None:
    time.sleep(0)  # noqa: ASYNC251 - for guard `blocking_call`


async def answered(url: str, *, closed: bool) -> None:
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(200)))
    await client.get(url)
    if closed:
        await client.aclose()


@router.get("/unclosed")
async def unclosed() -> None:
    await answered("https://rates.example.com", closed=False)


@router.get("/waits")
async def waits(db: Db) -> None:
    await db.execute(select(User))
    await answered("https://rates.example.com", closed=True)


@router.get("/loops")
async def loops(db: Db) -> None:
    for _ in range(5):
        await db.execute(select(User))


@router.post("/forgets")
async def forgets(request: Request) -> None:
    async with request.state.session_factory() as session:
        session.add(User(email="forgotten@example.com", hashed_password=""))
        await session.flush()


@router.post("/echo")
async def echo(request: Request) -> str:
    return (await request.body()).decode()
