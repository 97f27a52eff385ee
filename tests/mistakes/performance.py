"""What is quick with the three rows of a test, and slow with those of production."""

from tests.mistakes.catalogue import Change, Check, Edit, Guarded, Mistake, Right
from tests.mistakes.routes import file_of_tests, routes

TITLE = "Performance"

# Users who are invited by users; the tests make its table.
INVITATIONS = """
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import Mapped, mapped_column, relationship
from shop.db import Base

class Invitation(AsyncAttrs, Base):
    __tablename__ = "invitations"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    user: Mapped[User] = relationship()
"""
INVITED = """
@pytest.fixture(autouse=True)
async def invitations(anyio_backend: str, db_session: AsyncSession, create: Create) -> None:
    await db_session.execute(text("CREATE TABLE invitations (id int PRIMARY KEY, user_id bigint REFERENCES users)"))
    for number in range(6):
        user = await create(UserFactory)
        await db_session.execute(text(f"INSERT INTO invitations VALUES ({number}, {user.id})"))
    await db_session.commit()

async def test_invitations(client: AsyncClient) -> None:
    assert len((await client.get("/invitations")).json()) == 6
"""

LIMIT = "limit: Annotated[int, Query(ge=1, le=100)] = 50"

MISTAKES: list[Mistake] = [
    Mistake(
        "a query in a loop (N+1)",
        "One query for the list, and one more for each of its rows.",
        [
            *routes("""
@router.get("/emails")
async def emails(db: Db) -> list[str]:
    ids = (await db.scalars(select(User.id).limit(50))).all()
    return [await db.scalar(select(User.email).where(User.id == id)) for id in ids]
"""),
            file_of_tests("""
async def test_emails(client: AsyncClient, create: Create) -> None:
    for _ in range(6):
        await create(UserFactory)

    assert len((await client.get("/emails")).json()) == 6
"""),
        ],
        Guarded("n_plus_one"),
        [
            "GET /emails sent the same SELECT 6 times",
            "src/shop/extra.py",
            "selectinload",
            '@pytest.mark.allow_guard("n_plus_one", "GET /emails")',
        ],
    ),
    Mistake(
        "a relationship that is loaded row by row (N+1)",
        "`awaitable_attrs` in a loop is a query for each row, and reads like an attribute.",
        [
            *routes(f"""{INVITATIONS}
@router.get("/invitations")
async def invitations(db: Db) -> list[str]:
    found = await db.scalars(select(Invitation).limit(50))
    return [(await invitation.awaitable_attrs.user).email for invitation in found.all()]
"""),
            file_of_tests(INVITED),
        ],
        Guarded("n_plus_one"),
        ["GET /invitations sent the same SELECT 6 times", "src/shop/extra.py", "selectinload"],
    ),
    Mistake(
        "a list without a limit",
        "It returns all rows: three in a test, a million in production.",
        [
            Edit("src/shop/users.py", f"    {LIMIT},\n", ""),
            Edit("src/shop/users.py", ".limit(limit + 1)", ""),
            Edit("src/shop/users.py", "found[:limit]", "found"),
            Edit("src/shop/users.py", "users[-1].id if len(found) > limit else None", "None"),
        ],
        Check("test_lists.py::test_list_endpoints_are_paginated"),
        [
            "a list without a maximum length:",
            "GET /users",
            "limit: Annotated[int, Query(ge=1, le=100)]",
            'unpaginated_routes = ["/users"]',
        ],
    ),
    Mistake(
        "a limit without a maximum",
        "`?limit=1000000000` returns all rows.",
        [Edit("src/shop/users.py", LIMIT, "limit: Annotated[int, Query(ge=1)] = 50")],
        Check("test_lists.py::test_list_endpoints_are_paginated"),
        [
            "a list without a maximum length:",
            "GET /users",
            "limit: Annotated[int, Query(ge=1, le=100)]",
            'unpaginated_routes = ["/users"]',
        ],
    ),
    Mistake(
        "a test that takes longer than it may",
        "A suite that is slow is run seldom.",
        [
            # A budget that no machine meets, so that the test is slow on all of them.
            Edit("pyproject.toml", "[tool.savepoint]\n", "[tool.savepoint]\nslow_test_seconds = 0.001\n"),
            file_of_tests("""
async def test_after_a_while() -> None:
    await asyncio.sleep(0.1)
"""),
        ],
        Guarded("slow_test"),
        ["the limit is 0.001 s", "slow_test_seconds", '@pytest.mark.allow_guard("slow_test")'],
    ),
]

_LIMITED: list[Change] = routes("""
from enum import StrEnum
from pydantic import BaseModel, Field

class Currency(StrEnum):
    EUR = "eur"
    CHF = "chf"

class Line(BaseModel):
    product: str

class Order(BaseModel):
    id: int
    tags: list[str]
    lines: list[Line]

class Orders(BaseModel):
    items: list[Order]
    next: str | None

@router.get("/orders")
async def orders(limit: Annotated[int | None, Query(alias="page-size", le=500)] = None) -> Orders:
    return Orders(items=[], next=None)

@router.get("/latest-orders")
async def latest_orders() -> Annotated[list[Order], Field(max_length=10)]:
    return []

@router.get("/orders/{id}")
async def order(id: Id) -> Order | None:
    return None

@router.get("/currencies")
async def currencies() -> list[Currency]:
    return list(Currency)
""")

RIGHT: list[Right] = [
    Right(
        "a SELECT that is sent again until a job is done",
        [
            *routes("""
@router.get("/jobs/1")
async def job(db: Db) -> str:
    for _ in range(12):
        email = await db.scalar(select(User.email).where(User.id == 1))
        await db.commit()
        if email is not None:
            return email
    return "under way"
"""),
            file_of_tests(
                """
async def test_a_job(client: AsyncClient) -> None:
    assert (await client.get("/jobs/1")).json() == "under way"
""",
                "right",
            ),
        ],
    ),
    Right(
        "a list whose relationship is loaded by selectinload",
        [
            *routes(f"""{INVITATIONS}
@router.get("/invitations")
async def invitations(db: Db) -> list[str]:
    found = await db.scalars(select(Invitation).options(selectinload(Invitation.user)).limit(50))
    return [invitation.user.email for invitation in found.all()]
"""),
            file_of_tests(INVITED, "right"),
        ],
    ),
    Right(
        "a loop of a few statements, requests one after the other, and a hundred rows that the test makes",
        [
            *routes("""
@router.get("/few")
async def few(db: Db) -> list[str | None]:
    return [await db.scalar(select(User.email).where(User.id == id)) for id in range(3)]

@router.post("/locks")
async def locks(db: Db) -> None:
    for key in range(10):
        await db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
"""),
            file_of_tests(
                """
@pytest.mark.parametrize("repeat", range(2))
async def test_few(client: AsyncClient, create: Create, db_session: AsyncSession, repeat: int) -> None:
    for _ in range(100):
        user = await create(UserFactory)
        assert await db_session.scalar(select(User.email).where(User.id == user.id)) == user.email
    for _ in range(10):
        assert (await client.get("/few")).status_code == 200
    assert (await client.post("/locks")).status_code == 200
""",
                "right",
            ),
        ],
    ),
    Right(
        "a query that is repeated until a job is done",
        [
            *routes("""
@router.get("/wait/{id}")
async def wait(id: Id, request: Request) -> bool:
    for _ in range(20):
        async with request.state.session_factory() as session:
            if await session.scalar(select(User.is_active).where(User.id == id)) is False:
                return True
        await asyncio.sleep(0.001)
    return False
"""),
            file_of_tests(
                """
async def test_wait(client: AsyncClient, create: Create) -> None:
    user = await create(UserFactory)
    assert (await client.get(f"/wait/{user.id}")).json() is False
""",
                "right",
            ),
        ],
    ),
    Right(
        "a page, an object with parts, and lists with a short type",
        _LIMITED,
        run=["tests/harness/checks/test_lists.py"],
    ),
    Right(
        "a list that is in unpaginated_routes",
        [
            *routes("""
@router.get("/roots")
async def roots() -> list[str]:
    return ["/"]
"""),
            Edit("pyproject.toml", "[tool.savepoint]\n", '[tool.savepoint]\nunpaginated_routes = ["/roots"]\n'),
        ],
        run=["tests/harness/checks/test_lists.py"],
    ),
]
