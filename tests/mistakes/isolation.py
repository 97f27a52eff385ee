"""Tests that are not alone: what one leaves for the next, or takes from the developer's machine."""

from tests.mistakes.catalogue import Edit, File, Guarded, Mistake, Right, Rule
from tests.mistakes.routes import included

TITLE = "Isolation"

TEST = "tests/test_mistake.py"
RIGHTS = "tests/test_right.py"

FACTORY = '    email = Sequence(lambda number: f"user{number}@example.com")\n'

# A route that asks for the exchange rates of somebody else's server, and lives without them.
RATES = """
import httpx
from fastapi import APIRouter

router = APIRouter()


@router.get("/rates")
async def rates() -> dict[str, float]:
    try:
        async with httpx.AsyncClient() as client:
            response = await client.get("http://rates.example.com/eur")
            return dict(response.json())
    except OSError, httpx.HTTPError:
        return {}
""".replace("except OSError, httpx.HTTPError", "except (OSError, httpx.HTTPError)")

SETTINGS_CACHE = """
import os
from functools import lru_cache


@lru_cache
def currency() -> str:
    return os.environ.get("DEFAULT_CURRENCY", "eur")
"""


MISTAKES: list[Mistake] = [
    Mistake(
        "a variable of the environment that a test leaves changed",
        "The next test reads other settings, and passes or fails by the order of tests.",
        [
            File(
                TEST,
                """
import os

def test_another_currency() -> None:
    os.environ["DEFAULT_CURRENCY"] = "chf"
    assert os.environ["DEFAULT_CURRENCY"] == "chf"
""",
            )
        ],
        Guarded("leaked_environ"),
        ["guard leaked_environ", "DEFAULT_CURRENCY", "monkeypatch.setenv"],
    ),
    Mistake(
        "settings that are cached while a test has changed them",
        "Every test after it gets the settings of that test.",
        [
            File("src/shop/currency.py", SETTINGS_CACHE),
            File(
                TEST,
                """
import pytest

from shop.currency import currency

def test_another_currency(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFAULT_CURRENCY", "chf")
    assert currency() == "chf"
""",
            ),
        ],
        Guarded("stale_settings_cache"),
        ["shop.currency.currency cached a result", "cache_clear()"],
    ),
    Mistake(
        "a request to somebody's server whose failure is swallowed",
        "The suite is slow or red when that server is, and its owner counts the tests as customers.",
        [
            File("src/shop/rates.py", RATES),
            included("rates"),
            File(
                TEST,
                """
from httpx import AsyncClient

async def test_without_rates(client: AsyncClient) -> None:
    assert (await client.get("/rates")).json() == {}
""",
            ),
        ],
        Guarded("network"),
        ["rates.example.com:80", "respx", '@pytest.mark.allow_guard("network", "rates.example.com:80")'],
    ),
    Mistake(
        "a name that is looked up",
        "A test without network fails after the time-out of the name server.",
        [
            File(
                TEST,
                """
import contextlib
import socket

def test_a_name() -> None:
    with contextlib.suppress(OSError):
        socket.getaddrinfo("db.example.com", 5432)
""",
            )
        ],
        Guarded("network"),
        ["db.example.com:5432"],
    ),
    Mistake(
        "a metric that is sent by UDP",
        "Dashboards count what tests do, and nobody notices, since UDP never fails.",
        [
            File(
                TEST,
                """
import contextlib
import socket

def test_a_metric() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, contextlib.suppress(OSError):
        udp.sendto(b"logins:1|c", ("127.0.0.1", 8125))
""",
            )
        ],
        Guarded("network"),
        ["access to 127.0.0.1:8125 was blocked:\n  tests/test_mistake.py:7"],
    ),
    Mistake(
        "an engine of its own, to the developer's database",
        "A test empties the tables that somebody works with.",
        [
            File(
                TEST,
                """
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

async def test_whose_database_it_is(engine: AsyncEngine) -> None:
    own = create_async_engine("postgresql+asyncpg://developer@localhost/development")
    async with own.connect() as connection:
        assert await connection.scalar(text("SELECT current_database()")) == "development"
    await own.dispose()
""",
            )
        ],
        Rule("every connection goes to the test's database"),
        ["AssertionError: assert 'savepoint_"],
    ),
    Mistake(
        "a connection made while a module is imported",
        "Collecting tests is enough to reach whatever database the environment names.",
        [
            File(
                TEST,
                """
import asyncio

from sqlalchemy.ext.asyncio import create_async_engine

asyncio.run(create_async_engine("postgresql+asyncpg://developer@localhost/development").connect().start())

def test_nothing() -> None: ...
""",
            )
        ],
        Rule("no connection without a test"),
        ["NoTestDatabaseError", "no test database is in use", "must connect in the lifespan"],
        alone="an error of collection ends the run",
    ),
    Mistake(
        "rows committed by a synchronous engine",
        "They stay, and whichever test comes next finds them; and it does not see those of the test.",
        [
            File(
                TEST,
                """
import contextlib

from httpx import AsyncClient
from sqlalchemy import create_engine, text

async def test_an_import(client: AsyncClient) -> None:
    engine = create_engine("postgresql+psycopg://shop@db/shop")
    with contextlib.suppress(Exception), engine.begin() as connection:
        connection.execute(text("INSERT INTO users (email, hashed_password) VALUES ('ada@example.com', '')"))
    engine.dispose()
""",
            )
        ],
        Guarded("escaped_commit"),
        ["a synchronous engine (psycopg) connects in a savepoint test", "@pytest.mark.own_database"],
    ),
    Mistake(
        "rows committed in an event loop of their own",
        "They stay, and whichever test comes next finds them; and that loop does not see those of the test.",
        [
            File(
                "src/shop/imports.py",
                """
import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def import_users() -> None:
    engine = create_async_engine("postgresql+asyncpg://shop@db/shop")
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO users (email, hashed_password) VALUES ('ida@example.com', '')"))
    await engine.dispose()


def main() -> None:
    asyncio.run(import_users())
""",
            ),
            File(
                TEST,
                """
import asyncio
import contextlib

from httpx import AsyncClient

from shop.imports import main

async def test_an_import(client: AsyncClient) -> None:
    with contextlib.suppress(Exception):
        await asyncio.to_thread(main)
""",
            ),
        ],
        Guarded("escaped_commit"),
        ["in another thread or event loop than the test's", "@pytest.mark.own_database"],
    ),
    Mistake(
        "a mock that nothing calls",
        "The test says that a declined card is answered with an error, and the error is another one.",
        [
            File(
                TEST,
                """
from httpx import AsyncClient

from tests.harness.stripe import MockStripe

async def test_a_declined_card(mock_stripe: MockStripe, user_client: AsyncClient) -> None:
    mock_stripe.declines()
    response = await user_client.post("/payments", json={"amount": 350}, headers={"Idempotency-Key": "order-4711"})
    assert response.status_code >= 400
""",
            )
        ],
        Guarded("unused_stripe_mock"),
        ["Stripe was not called and the test did not inspect the mock", "mock_stripe.calls == []"],
    ),
    Mistake(
        "tests that depend on their order",
        "The suite is green until somebody runs one test alone, or two workers share it.",
        [
            File(
                TEST,
                """
SEEN: list[str] = []

def test_a_first() -> None:
    SEEN.append("first")

def test_b_second() -> None:
    assert SEEN == ["first"]
""",
            )
        ],
        Rule("a random order"),
        ["--randomly-seed=5", "test_b_second"],
        run=(TEST, "-p", "randomly", "--randomly-seed=5"),
    ),
    Mistake(
        "an override of a dependency that a test leaves behind, and another relies on",
        "Whoever runs the second test alone meets a failure that nobody else has.",
        [
            File(
                TEST,
                """
from fastapi import FastAPI
from httpx import AsyncClient

from shop.auth import get_current_user
from shop.models import User

async def test_a_somebody(client: AsyncClient, app: FastAPI) -> None:
    app.dependency_overrides[get_current_user] = lambda: User(id=1, role="admin")
    assert (await client.get("/users")).status_code == 200

async def test_b_somebody_still(client: AsyncClient) -> None:
    assert (await client.get("/users")).status_code == 200
""",
            )
        ],
        Rule("`client`, which puts overrides back after its test"),
        ["test_b_somebody_still", "assert 401 == 200", "1 passed"],
        run=(TEST, "-p", "no:randomly"),
    ),
    Mistake(
        "an e-mail written out in a factory",
        "The second row of one test, or the first of a test that commits, fails for no reason that it names.",
        [
            Edit("tests/factories.py", FACTORY, '    email = "ada@example.com"\n'),
            File(
                TEST,
                """
from tests.factories import UserFactory
from tests.harness import Create

async def test_two_users(create: Create) -> None:
    await create(UserFactory)
    await create(UserFactory)
""",
            ),
        ],
        Rule("the database's own constraint"),
        ["uq_users_email", "UserFactory", "Sequence"],
    ),
]

# Code that is right, and must pass: a guard that nobody can live with is turned off.
RIGHT: list[Right] = [
    Right(
        "a cache that a fixture clears before and after",
        [
            File("src/shop/currency.py", SETTINGS_CACHE),
            File(
                RIGHTS,
                """
from collections.abc import Iterator

import pytest

from shop.currency import currency

@pytest.fixture(autouse=True)
def no_currency(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    currency.cache_clear()
    monkeypatch.setenv("DEFAULT_CURRENCY", "chf")
    yield
    currency.cache_clear()

def test_another_currency() -> None:
    assert currency() == "chf"
""",
            ),
        ],
    ),
    Right(
        "a library that sets a variable of the environment when it is imported",
        [
            File(
                RIGHTS,
                """
from pathlib import Path

import pytest

def test_it_is_imported_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "numbers_of_us.py").write_text("import os; os.environ['NUMBERS_THREADS'] = '1'")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert __import__("numbers_of_us")
""",
            ),
        ],
    ),
    Right(
        "a variable of the environment, set by monkeypatch",
        [
            File(
                RIGHTS,
                """
import os

import pytest

def test_another_currency(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFAULT_CURRENCY", "chf")
    assert os.environ["DEFAULT_CURRENCY"] == "chf"
""",
            )
        ],
    ),
    Right(
        "a dependency overridden for one test",
        [
            File(
                RIGHTS,
                """
from fastapi import FastAPI
from httpx import AsyncClient

from shop.deps import get_settings

async def test_a_overridden(client: AsyncClient, app: FastAPI) -> None:
    app.dependency_overrides[get_settings] = lambda: None
    assert (await client.get("/health")).status_code == 200

async def test_b_not_overridden(client: AsyncClient, app: FastAPI) -> None:
    assert app.dependency_overrides == {}
""",
            )
        ],
        run=("-p", "no:randomly"),
    ),
    Right(
        "a mock that is not to be called",
        [
            File(
                RIGHTS,
                """
from httpx import AsyncClient

from tests.harness.stripe import MockStripe

async def test_a_stranger(mock_stripe: MockStripe, client: AsyncClient) -> None:
    assert (await client.post("/payments", json={})).status_code == 401
    assert mock_stripe.calls == []
""",
            )
        ],
    ),
    Right(
        "a function that remembers what no test has changed",
        [
            File("src/shop/currency.py", SETTINGS_CACHE),
            File(
                RIGHTS,
                """
import pytest

from shop.currency import currency

def test_the_usual_currency() -> None:
    assert currency() == "eur"

def test_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    currency.cache_clear()
    monkeypatch.setenv("DEFAULT_CURRENCY", "chf")
    assert currency() == "chf"
    currency.cache_clear()
""",
            ),
        ],
    ),
    Right(
        "a server of the test's own, allowed by its address",
        [
            File(
                RIGHTS,
                """
import asyncio

import pytest

@pytest.mark.allow_guard("network", "127.0.0.1")
async def test_a_server() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        assert await reader.read() == b"hello"
        writer.close()
""",
            )
        ],
    ),
    Right(
        "a socket of the machine itself",
        [
            File(
                RIGHTS,
                """
import socket

def test_a_pair() -> None:
    one, other = socket.socketpair()
    with one, other:
        one.sendall(b"hello")
        assert other.recv(5) == b"hello"
""",
            )
        ],
    ),
    Right(
        "a connection beside the test's, which only reads",
        [
            File(
                RIGHTS,
                """
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

async def test_the_version(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        assert await connection.scalar(text("SHOW server_version_num"))
""",
            )
        ],
    ),
    Right(
        "a library's deprecation",
        [
            File(
                RIGHTS,
                """
import types
import warnings

def test_a_library() -> None:
    library = types.ModuleType("library")
    exec("import warnings\\ndef old(): warnings.warn('old', DeprecationWarning)", library.__dict__)
    library.old()
""",
            )
        ],
    ),
    Right(
        "skip, xfail, parameters, a class, and tests without a database",
        [
            File(
                RIGHTS,
                """
import pytest
from httpx import AsyncClient

@pytest.mark.skip(reason="not today")
async def test_skipped(client: AsyncClient) -> None: ...

@pytest.mark.xfail(reason="not yet")
async def test_expected_to_fail(client: AsyncClient) -> None:
    assert (await client.get("/nothing")).status_code == 200

@pytest.mark.parametrize("path", ["/health", "/openapi.json"])
async def test_paths(client: AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 200

class TestHealth:
    async def test_it(self, client: AsyncClient) -> None:
        assert (await client.get("/health")).status_code == 200

    def test_beside_it(self) -> None: ...

async def test_without_a_database() -> None: ...
""",
            )
        ],
    ),
]
