"""Services that are built in other ways than the sample, all of them right: middlewares, lifespans and engines."""

from tests.mistakes.catalogue import Change, Edit, File, Right
from tests.mistakes.routes import file_of_tests, included

MAIN, CONFTEST = "src/shop/main.py", "tests/conftest.py"
# Its own tests.
SAMPLE = ["tests/test_users.py", "tests/test_auth.py", "tests/test_payments.py"]

BOTH_MODES = """
BOTH = pytest.mark.parametrize("mode", ["savepoint", pytest.param("own", marks=pytest.mark.own_database)])
"""

SIGN_UP = """
@BOTH
@pytest.mark.parametrize("repeat", [1, 2])
async def test_sign_up(client: AsyncClient, db_session: AsyncSession, mode: str, repeat: int) -> None:
    assert (await client.post("/users", json=ADA)).status_code == 201
    assert await count(db_session) == 1
"""


def right_tests(text: str) -> File:
    return file_of_tests(BOTH_MODES + text, "right")


def with_module(name: str, text: str) -> list[Change]:
    """A module with a router."""
    return [File(f"src/shop/{name}.py", text), included(name)]


def with_lifespan(text: str) -> list[Change]:
    """The application with the lifespan that `more` of this text makes of its own."""
    return [
        File("src/shop/more.py", text),
        Edit(MAIN, ", lifespan=lifespan)", ", lifespan=more(lifespan))"),
        Edit(MAIN, "from shop.security import", "from shop.more import more\nfrom shop.security import"),
    ]


POLLING = """
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import select

from shop.models import User


def more(lifespan: Any) -> Any:
    @asynccontextmanager
    async def with_an_outbox(app: Any) -> AsyncIterator[Any]:
        async with lifespan(app) as state:
            task = asyncio.create_task(poll(state["session_factory"]), name="outbox")
            yield state
            task.cancel()
            await asyncio.wait([task])

    return with_an_outbox


async def poll(session_factory: Any) -> None:
    waiting = select(User.id).where(User.is_active.is_(False)).with_for_update(skip_locked=True).limit(1)
    while True:
        async with session_factory() as session:
            await session.scalar(waiting)
            await session.commit()
        await asyncio.sleep(0.01)
"""

MIDDLEWARE = """
from typing import Any

from fastapi import APIRouter
from sqlalchemy import func, select

from shop.models import User

router = APIRouter()


class CountUsers:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        async with scope["state"]["session_factory"]() as session:
            await session.scalar(select(func.count()).select_from(User))
            await self.app(scope, receive, send)


async def of_starlette(request: Any, call_next: Any) -> Any:
    async with request.state.session_factory() as session:
        await session.scalar(select(func.count()).select_from(User))
        return await call_next(request)
"""

PRICES = """
import json
from decimal import Decimal
from functools import partial

from fastapi import APIRouter
from sqlalchemy import literal, select
from sqlalchemy.dialects.postgresql import JSONB

from shop.deps import Db

router = APIRouter()
dumps = partial(json.dumps, default=str)


@router.get("/price")
async def price(db: Db) -> str:
    amounts = await db.scalar(select(literal({"amount": Decimal("1.50")}, JSONB)))
    return amounts["amount"]
"""

SECOND = """
from fastapi import APIRouter, Request
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from shop.models import User

router = APIRouter()


@router.get("/figures")
async def figures(request: Request) -> int:
    engine = create_async_engine(request.app.state.settings.database)
    try:
        async with async_sessionmaker(engine)() as session:
            return (await session.scalars(select(func.count()).select_from(User))).one()
    finally:
        await engine.dispose()
"""

SEED_DATA = '''

@pytest.fixture(scope="session")
def seed_data() -> SeedData:
    """Rows that every test starts with."""

    async def write(session: AsyncSession) -> None:
        session.add(User(email="first@example.com", hashed_password="x", role="admin"))
        await session.commit()

    return write
'''

RIGHT: list[Right] = [
    Right("a task of the lifespan that polls", [*with_lifespan(POLLING), right_tests(SIGN_UP)], run=SAMPLE),
    Right(
        "a middleware with an open session",
        [
            *with_module("counting", MIDDLEWARE),
            Edit(
                MAIN,
                "    errors.register(app)\n",
                "    from shop.counting import CountUsers\n\n    app.add_middleware(CountUsers)\n"
                "    errors.register(app)\n",
            ),
            right_tests(SIGN_UP),
        ],
    ),
    Right(
        "a middleware of Starlette's with an open session",
        [
            *with_module("counting", MIDDLEWARE),
            Edit(
                MAIN,
                "    errors.register(app)\n",
                '    from shop.counting import of_starlette\n\n    app.middleware("http")(of_starlette)\n'
                "    errors.register(app)\n",
            ),
            right_tests(SIGN_UP),
        ],
    ),
    Right(
        "an engine with a JSON serializer of its own",
        [
            *with_module("prices", PRICES),
            Edit(MAIN, "pool_pre_ping=True)", "pool_pre_ping=True, json_serializer=dumps)"),
            Edit(MAIN, "from shop.security import", "from shop.prices import dumps\nfrom shop.security import"),
            right_tests("""
@BOTH
async def test_price(client: AsyncClient, mode: str) -> None:
    assert (await client.get("/price")).json() == "1.50"
"""),
        ],
    ),
    Right(
        "a second engine of the application",
        [
            *with_module("figures", SECOND),
            right_tests("""
@BOTH
async def test_figures(client: AsyncClient, create: Create, mode: str) -> None:
    await create(UserFactory)
    assert (await client.get("/figures")).json() == 1
"""),
        ],
    ),
    Right(
        "SQLite beside PostgreSQL",
        [
            right_tests("""
from sqlalchemy import create_engine

@BOTH
async def test_cache(client: AsyncClient, db_session: AsyncSession, mode: str) -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as cache:
        cache.execute(text("CREATE TABLE answers (path text PRIMARY KEY)"))
        cache.execute(text("INSERT INTO answers VALUES ('/users')"))
        cache.commit()
        assert (await client.post("/users", json=ADA)).status_code == 201
        with cache.begin_nested():
            assert cache.scalar(text("SELECT count(*) FROM answers")) == 1
        cache.rollback()
    engine.dispose()
    assert await count(db_session) == 1
"""),
        ],
    ),
    Right(
        "a fixture that commits rows, and deletes them after the test",
        [
            right_tests("""
from collections.abc import AsyncIterator

@pytest.fixture
async def ada(anyio_backend: str, session_factory: SessionFactory) -> AsyncIterator[User]:
    async with session_factory() as session:
        user = User(**ROW)
        session.add(user)
        await session.commit()
        yield user
        await session.delete(user)
        session.add(User(**{**ROW, "email": "late@example.com"}))
        await session.commit()

@BOTH
@pytest.mark.parametrize("repeat", [1, 2])
async def test_again(ada: User, client: AsyncClient, mode: str, repeat: int) -> None:
    assert (await client.post("/users", json=ADA)).status_code == 409

@BOTH
async def test_without(db_session: AsyncSession, mode: str) -> None:
    assert await count(db_session) == 0
"""),
        ],
        run=("-p", "no:randomly"),
    ),
    Right(
        "rows that every test starts with",
        [
            Edit(CONFTEST, 'pytest_plugins = ["tests.harness"]\n', f'pytest_plugins = ["tests.harness"]\n{SEED_DATA}'),
            Edit(
                CONFTEST,
                "from sqlalchemy.ext.asyncio import ",
                "from shop.models import User\nfrom tests.harness import SeedData\nfrom sqlalchemy.ext.asyncio import "
                "AsyncSession\nfrom sqlalchemy.ext.asyncio import ",
            ),
            right_tests("""
@BOTH
@pytest.mark.parametrize("repeat", [1, 2])
async def test_more(client: AsyncClient, db_session: AsyncSession, mode: str, repeat: int) -> None:
    assert (await client.post("/users", json=ADA)).status_code == 201
    user = (await db_session.scalars(select(User).where(User.email == "first@example.com"))).one()
    await db_session.delete(user)
    await db_session.commit()
    assert await count(db_session) == 1
"""),
        ],
        run=("-n", "2"),
    ),
    Right(
        "TestClient, in a test with a database of its own",
        [
            right_tests("""
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.ext.asyncio import create_async_engine

@pytest.mark.own_database
@pytest.mark.parametrize("repeat", [1, 2])
def test_sign_up(app: FastAPI, repeat: int) -> None:
    with TestClient(app) as client:
        assert client.post("/users", json=ADA).status_code == 201
        assert client.post("/users", json=ADA).status_code == 409

@BOTH
async def test_nobody(db_session: AsyncSession, mode: str) -> None:
    assert await count(db_session) == 0
"""),
        ],
    ),
    Right(
        "`get_db` overridden with the session of the test",
        [
            right_tests("""
from fastapi import FastAPI
from shop.deps import get_db

@BOTH
async def test_shared(client: AsyncClient, app: FastAPI, db_session: AsyncSession, mode: str) -> None:
    async def session_of_test() -> AsyncSession:
        return db_session

    app.dependency_overrides[get_db] = session_of_test
    db_session.add(User(**{**ROW, "email": "grace@example.com"}))
    await db_session.commit()
    assert (await client.post("/users", json=ADA)).status_code == 201
    await db_session.commit()
    assert await count(db_session) == 2
"""),
        ],
    ),
]
