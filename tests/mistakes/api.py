"""Requests that clients may send, and data that responses must not contain."""

from collections.abc import Sequence

from tests.mistakes.catalogue import Change, Check, Edit, File, Guarded, Mistake, Right, Rule, SampleTest, Tool
from tests.mistakes.routes import file_of_tests, included, routes

TITLE = "API and security"

TEST = "tests/test_mistake.py"
RIGHTS = "tests/test_right.py"

SECURITY, AUTH, USERS = "src/shop/security.py", "src/shop/auth.py", "src/shop/users.py"
SCHEMAS, MODELS = "src/shop/schemas.py", "src/shop/models.py"

TOKENS = SampleTest("test_auth.py::test_a_token_that_is_not_ours_is_refused")
LOGIN = SampleTest("test_auth.py::test_whatever_is_wrong_the_answer_is_the_same")

SIGN_UP = """
from httpx import AsyncClient

async def test_sign_up(client: AsyncClient) -> None:
    await client.post("/users", json={"email": "ada@example.com", "password": "correct horse battery"})
"""


def token(name: str, sentence: str, old: str, new: str, words: str) -> Mistake:
    """A token that must be rejected and is accepted."""
    return Mistake(name, sentence, [Edit(SECURITY, old, new)], TOKENS, [words])


def sample(name: str, sentence: str, changes: Sequence[Change], test: str, *words: str) -> Mistake:
    return Mistake(name, sentence, changes, SampleTest(test), words)


MISTAKES: list[Mistake] = [
    Mistake(
        "status 500 for text that PostgreSQL cannot store",
        "Any client can fill the error log and trigger alerts.",
        [
            File(
                "src/shop/notes.py",
                """
from fastapi import APIRouter
from sqlalchemy import select

from shop.auth import CurrentUser
from shop.deps import Db
from shop.models import User

router = APIRouter()


@router.get("/notes")
async def find(current: CurrentUser, db: Db, author: str) -> int:
    return len((await db.scalars(select(User.id).where(User.email == author).limit(10))).all())
""",
            ),
            included("notes"),
        ],
        Check("test_requests.py::test_malformed_requests_get_no_5xx"),
        ["GET /notes with author = '\\x00'", "src/shop/notes.py", "PostgreSQL cannot store NUL"],
    ),
    Mistake(
        "a route that reads a table without a migration",
        "It works only where the table was created by hand, and returns 500 elsewhere.",
        [
            File(
                "src/shop/notes.py",
                """
from fastapi import APIRouter
from sqlalchemy import select
from sqlalchemy.orm import Mapped, mapped_column

from shop.auth import CurrentUser
from shop.db import Base
from shop.deps import Db

router = APIRouter()


class Note(Base):
    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)


@router.get("/notes")
async def find(current: CurrentUser, db: Db, after: int) -> int:
    return len((await db.scalars(select(Note.id).where(Note.id > after % 100).limit(10))).all())
""",
            ),
            included("notes"),
        ],
        Check("test_requests.py::test_malformed_requests_get_no_5xx"),
        [
            "GET /notes",
            "ProgrammingError (src/shop/notes.py:",
            "its migration is missing",
            "test_models_match_migrations",
        ],
    ),
    Mistake(
        "status 500 for an id beyond bigint",
        "Any client can fill the error log and trigger alerts.",
        [Edit("src/shop/deps.py", "Id = Annotated[int, Path(ge=1, le=2**63 - 1)]", "Id = Annotated[int, Path(ge=1)]")],
        Check("test_requests.py::test_malformed_requests_get_no_5xx"),
        ["GET /users/{id} with id = 9223372036854775808", "the largest bigint is 2**63 - 1"],
    ),
    Mistake(
        "a response that does not match its model",
        "FastAPI returns 500, and generated clients fail.",
        [
            Edit(
                SCHEMAS,
                "    role: Role\n    created_at: datetime\n",
                "    role: Role\n    nickname: str\n    created_at: datetime\n",
            ),
            File(TEST, SIGN_UP),
        ],
        Rule("the application's exceptions, raised in the test"),
        ["ResponseValidationError", "nickname"],
    ),
    Mistake(
        "a password in a response",
        "Proxies, caches and browsers store it.",
        [
            Edit(
                SCHEMAS,
                "    role: Role\n    created_at: datetime\n",
                "    role: Role\n    password: str\n    created_at: datetime\n",
            ),
            Edit(
                USERS,
                "    await db.refresh(user)\n    return user\n",
                "    await db.refresh(user)\n    user.password = body.password.get_secret_value()\n    return user\n",
            ),
            File(TEST, SIGN_UP),
        ],
        Guarded("leaked_secret"),
        ["POST /users: the response contains the value of the request's field `password`", "response model"],
    ),
    Mistake(
        "a password hash in a response",
        "It can be cracked offline.",
        [
            Edit(
                SCHEMAS,
                "    role: Role\n    created_at: datetime\n",
                "    role: Role\n    hashed_password: str\n    created_at: datetime\n",
            ),
            File(TEST, SIGN_UP),
        ],
        Guarded("leaked_secret"),
        ["the response contains a password hash"],
    ),
    Mistake(
        "a password in the log",
        "Everyone with access to the logs can read it.",
        [
            Edit(
                USERS,
                "    db.add(user)\n",
                '    logging.getLogger("shop").info("sign up: %s", body.password.get_secret_value())\n'
                "    db.add(user)\n",
            ),
            Edit(USERS, "from typing import Annotated\n", "import logging\nfrom typing import Annotated\n"),
            Edit(
                "src/shop/main.py",
                "    errors.register(app)\n",
                # As in production: own handlers, no propagation to the root logger.
                "    import logging.config\n\n"
                '    own = {"level": "INFO", "handlers": ["own"], "propagate": False}\n'
                '    handlers = {"own": {"class": "logging.NullHandler"}}\n'
                '    logging.config.dictConfig({"version": 1, "handlers": handlers, "loggers": {"shop": own}})\n'
                "    errors.register(app)\n",
            ),
            File(TEST, SIGN_UP),
        ],
        Guarded("leaked_secret"),
        ["logger shop contains the value of the request's field `password`"],
    ),
    Mistake(
        "a validation error that repeats the password",
        "A sign-up with an error in another field returns it.",
        [
            Edit("src/shop/errors.py", "    app.add_exception_handler(RequestValidationError, answer_invalid)\n", ""),
            File(
                TEST,
                """
from httpx import AsyncClient

async def test_sign_up(client: AsyncClient) -> None:
    words = "correct horse battery"
    await client.post("/users", json={"email": "ada@example.com", "password": [words], "passphrase": words})
""",
            ),
        ],
        Guarded("leaked_secret"),
        ["POST /users: the response contains the value of the request's field `passphrase`"],
    ),
    Mistake(
        "a route without authentication",
        "Anonymous clients read data of users.",
        [
            Edit(
                USERS,
                "async def get_user(id: Id, db: Db, current: CurrentUser) -> User:",
                "async def get_user(id: Id, db: Db) -> User:",
            ),
            Edit(
                USERS,
                'await db.get(User, id) if current.role == "admin" or current.id == id else None',
                "await db.get(User, id)",
            ),
        ],
        Check("test_routes.py::test_every_route_requires_authentication"),
        ["These routes do not require authentication: GET /users/{id}", 'public_routes = ["GET /users/{id}"]'],
    ),
    Mistake(
        "a route that declares authentication and accepts anonymous requests",
        "According to its documentation, the route is protected.",
        [
            Edit(
                AUTH,
                '    if user is None or not user.is_active:\n        raise HTTPException(401, "not',
                '    if user is not None and not user.is_active:\n        raise HTTPException(401, "not',
            ),
            Edit(
                AUTH,
                'Depends(OAuth2PasswordBearer(tokenUrl="login"))',
                'Depends(OAuth2PasswordBearer(tokenUrl="login", auto_error=False))',
            ),
            Edit(
                AUTH,
                "    user_id = request.state.security.user_id(token)\n",
                "    user_id = request.state.security.user_id(token or '')\n",
            ),
            Edit(
                AUTH,
                "    return user\n\n\nCurrentUser",
                "    return user or User(id=0, email='', role='user', created_at=datetime.now(UTC))\n\n\nCurrentUser",
            ),
            Edit(
                AUTH,
                "from typing import Annotated\n",
                "from datetime import UTC, datetime\nfrom typing import Annotated\n",
            ),
        ],
        Check("test_routes.py::test_unauthenticated_requests_are_rejected"),
        ["declare authentication but accept anonymous requests", "GET /me: 200", "Return 401"],
    ),
    sample(
        "another user's object",
        "A client that guesses ids reads the objects of all users.",
        [
            Edit(
                USERS,
                'await db.get(User, id) if current.role == "admin" or current.id == id else None',
                "await db.get(User, id)",
            )
        ],
        "test_users.py::test_who_sees_a_user",
        "assert 200 == 404",
    ),
    sample(
        "a role that is not checked",
        "Every user has the rights of an admin.",
        [Edit(AUTH, '    if current.role != "admin":\n        raise HTTPException(403, "for admins only")\n', "")],
        "test_users.py::test_who_lists_users",
        "assert 200 == 403",
    ),
    sample(
        "a role that a sign-up can set",
        "Any client can sign up as an admin.",
        [
            Edit(
                SCHEMAS,
                '    model_config = ConfigDict(extra="forbid")\n\n    email: Email\n',
                "    email: Email\n    role: Role = 'user'\n",
            ),
        ],
        "test_users.py::test_a_sign_up_that_is_invalid_is_refused",
        "422",
    ),
    token(
        "a token without a signature",
        "Any client can create a token for any user.",
        "                algorithms=[ALGORITHM],\n",
        '                algorithms=[ALGORITHM, "none"],\n',
        "unsigned",
    ),
    token(
        "a token signed with another algorithm",
        "A weaker algorithm is accepted, or a public key as a secret.",
        "                algorithms=[ALGORITHM],\n",
        '                algorithms=[ALGORITHM, "HS512"],\n',
        "by another algorithm",
    ),
    token(
        "a token signed with another key",
        "A token of the staging system is valid in production.",
        "                options={",
        '                options={"verify_signature": False, ',
        "401",
    ),
    token(
        "a token for another service",
        "A token of one service is valid in all others.",
        "                audience=AUDIENCE,\n                options={",
        '                options={"verify_aud": False, ',
        "for somebody else",
    ),
    token(
        "an expired token",
        "A stolen token stays valid forever.",
        "                options={",
        '                options={"verify_exp": False, ',
        "expired",
    ),
    Mistake(
        "a status that reveals whether an account exists",
        "From a list of e-mail addresses, a client learns who the customers are.",
        [
            Edit(
                AUTH,
                "    # No connection waits for Argon2.\n",
                '    if user is None:\n        raise HTTPException(404, "wrong e-mail or password")\n'
                "    # No connection waits for Argon2.\n",
            )
        ],
        LOGIN,
        ["assert 404 == 401"],
    ),
    Mistake(
        "a message that reveals whether an account exists",
        "From a list of e-mail addresses, a client learns who the customers are.",
        [
            Edit(
                AUTH,
                'raise HTTPException(401, "wrong e-mail or password"',
                'raise HTTPException(401, "no such user" if user is None else "wrong e-mail or password"',
            )
        ],
        LOGIN,
        ["no such user"],
    ),
    sample(
        "a response time that reveals whether an account exists",
        "From a list of e-mail addresses, a client learns who the customers are.",
        [Edit(AUTH, "    is_right = await", "    is_right = user is not None and await")],
        "test_auth.py::test_an_unknown_user_costs_the_same_work_as_a_wrong_password",
        "for an unknown user, no password is verified",
    ),
    sample(
        "a 403 that reveals which ids exist",
        "A client learns how many customers there are.",
        [
            Edit(
                USERS,
                '    user = await db.get(User, id) if current.role == "admin" or current.id == id else None\n',
                '    user = await db.get(User, id)\n    if user and current.role != "admin" and current.id != id:\n'
                '        raise HTTPException(403, "somebody else")\n',
            )
        ],
        "test_users.py::test_another_user_looks_like_none",
        "403",
    ),
    Mistake(
        "a timestamp column without a time zone",
        "Its values depend on the reader's time zone.",
        [
            Edit(
                MODELS,
                "    succeeded_at: Mapped[datetime | None]\n",
                "    succeeded_at: Mapped[datetime | None] = mapped_column(DateTime())\n",
            ),
            Edit(MODELS, "from sqlalchemy.orm import", "from sqlalchemy import DateTime\nfrom sqlalchemy.orm import"),
        ],
        Check("test_columns.py::test_datetimes_are_timezone_aware"),
        ["payments.succeeded_at", "DateTime(timezone=True)"],
    ),
    Mistake(
        "datetime.now() without a time zone",
        "The value is wrong by the server's offset from UTC.",
        [Edit(SECURITY, "datetime.now(UTC)", "datetime.now()")],
        Tool("ruff DTZ005", ("ruff", "check", "src")),
        ["DTZ005"],
    ),
]

RIGHT: list[Right] = [
    Right(
        "fields whose names contain that of a secret",
        [
            *routes("""
@router.get("/people")
async def person() -> dict[str, str]:
    return {"secretary": "Ada", "passwordless": "yes", "tokenized_text": "a b", "author_token_count": "12"}
"""),
            file_of_tests(
                """
async def test_people(client: AsyncClient) -> None:
    assert (await client.get("/people")).json()["secretary"] == "Ada"
""",
                "right",
            ),
        ],
    ),
    Right(
        "a field whose name only contains the word secret",
        [
            File(
                "src/shop/things.py",
                """
from fastapi import APIRouter
from pydantic import BaseModel

from shop.auth import CurrentUser

router = APIRouter()


class Team(BaseModel):
    secretary: str


@router.get("/teams/1")
async def team(current: CurrentUser) -> Team:
    return Team(secretary="Ada Lovelace of London")
""",
            ),
            included("things"),
            File(
                RIGHTS,
                """
from httpx import AsyncClient

async def test_a_team(user_client: AsyncClient) -> None:
    assert (await user_client.get("/teams/1")).json() == {"secretary": "Ada Lovelace of London"}
""",
            ),
        ],
    ),
    Right(
        "a password that equals other text of the response",
        [
            File(
                RIGHTS,
                """
from httpx import AsyncClient

async def test_sign_up(client: AsyncClient) -> None:
    refused = await client.post("/users", json={"email": "ada@example.com", "password": "password"})
    assert refused.json()["detail"][0]["loc"] == ["body", "password"]
    body = {"email": "ada.lovelace@example.com", "password": "ada.lovelace"}
    assert (await client.post("/users", json=body)).json()["email"] == "ada.lovelace@example.com"
""",
            )
        ],
    ),
    Right(
        "a public route that is listed",
        [
            File(
                "src/shop/things.py",
                """
from fastapi import APIRouter

router = APIRouter()


@router.get("/version")
async def version() -> str:
    return "1"
""",
            ),
            included("things"),
            Edit("pyproject.toml", "public_routes = [\n", 'public_routes = [\n  "GET /version",\n'),
        ],
        run=("tests/harness/checks",),
    ),
    Right(
        "a login that returns a token, and a log line without it",
        [
            Edit(
                USERS,
                "    db.add(user)\n",
                '    logging.getLogger("shop").warning("somebody has chosen a password")\n    db.add(user)\n',
            ),
            Edit(USERS, "from typing import Annotated\n", "import logging\nfrom typing import Annotated\n"),
            File(
                RIGHTS,
                """
from httpx import AsyncClient

async def test_sign_up_and_log_in(client: AsyncClient) -> None:
    await client.post("/users", json={"email": "ada@example.com", "password": "correct horse battery"})
    response = await client.post("/login", data={"username": "ada@example.com", "password": "correct horse battery"})
    assert response.json()["access_token"]
""",
            ),
        ],
    ),
    Right(
        "a response without a body, and a form",
        [
            File(
                "src/shop/things.py",
                """
from typing import Annotated

from fastapi import APIRouter, Form

from shop.auth import CurrentUser

router = APIRouter()


@router.delete("/thing", status_code=204)
async def forget(current: CurrentUser) -> None: ...


@router.post("/thing", status_code=204)
async def keep(current: CurrentUser, name: Annotated[str, Form()]) -> None: ...
""",
            ),
            included("things"),
        ],
        run=("tests/harness/checks",),
    ),
]
