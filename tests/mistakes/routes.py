"""Routes that an entry adds to the service: a module, and two lines of `main.py`."""

from tests.mistakes.catalogue import Change, Edit, File

IMPORTS = """\
import asyncio
from contextlib import suppress
from typing import Annotated

import httpx
from fastapi import APIRouter, BackgroundTasks, HTTPException, Query, Request
from sqlalchemy import ForeignKey, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import selectinload

from shop.deps import Db, Id
from shop.models import User
from shop.schemas import UserOut

router = APIRouter()
"""


def included(module: str) -> Edit:
    """The router of a module that an entry adds."""
    return Edit(
        "src/shop/main.py",
        "    app.include_router(users.router)\n",
        f"    from shop import {module}\n\n    app.include_router({module}.router)\n"
        "    app.include_router(users.router)\n",
    )


def routes(text: str) -> list[Change]:
    """The changes that add these routes of `router`."""
    return [File("src/shop/extra.py", IMPORTS + text), included("extra")]


TEST = """\
import asyncio
from contextlib import suppress

import httpx
import pytest
import respx
from httpx import AsyncClient
from shop.models import User
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from tests.factories import UserFactory
from tests.harness import Create

ADA = {"email": "ada@example.com", "password": "correct horse battery"}
ROW = {"email": "ada@example.com", "hashed_password": "x"}
SessionFactory = async_sessionmaker[AsyncSession]


async def count(session: AsyncSession) -> int:
    return (await session.scalars(select(func.count()).select_from(User))).one()

"""


def file_of_tests(text: str, name: str = "mistake") -> File:
    """A test file with common imports."""
    return File(f"tests/test_{name}.py", TEST + text)
