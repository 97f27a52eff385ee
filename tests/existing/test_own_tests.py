"""Tests of a service with a client of their own, and tests that expect certain ids."""

import pytest

from tests.existing.conftest import CHECKS, changed
from tests.mistakes.project import Changed

pytestmark = pytest.mark.xdist_group("existing")


OWN_CLIENT = """import asyncio

import pytest
from httpx import ASGITransport, AsyncClient

from app.db import Session, get_session
from app.main import app


@pytest.fixture
async def client():
    async with AsyncClient(transport=ASGITransport(app=app), base_url="http://library.test") as client:
        yield client


@pytest.fixture
async def session(client):
    async with Session() as session:
        app.dependency_overrides[get_session] = lambda: session
        yield session
    app.dependency_overrides.clear()


@pytest.mark.anyio
async def test_add(client):
    assert (await client.post("/books", json={"title": "Emma"})).status_code == 201
    assert (await client.get("/books")).json() == ["Emma"]


@pytest.mark.anyio
async def test_gathered(client):
    responses = await asyncio.gather(*(client.get("/books") for _ in range(3)))
    assert [response.json() for response in responses] == [[], [], []]
    assert client._transport.app is app


@pytest.mark.anyio
async def test_session_of_the_test(client, session):
    assert (await client.post("/books", json={"title": "Emma"})).status_code == 201
    assert (await client.get("/books")).json() == ["Emma"]
"""


def test_a_client_of_the_services_own(service: Changed) -> None:
    (service.folder / "tests" / "test_books.py").write_text(OWN_CLIENT)

    assert service.pytest("tests/test_books.py").code == 0
    changed(service, "app/main.py", "        await db.commit()\n", "        await db.flush()\n")
    loop = "    for _ in range(9):\n        await db.scalars(select(Book.title))\n"
    changed(service, "app/main.py", "    return list(await", f"{loop}    return list(await")

    outcome = service.pytest("tests/test_books.py")

    assert "guard uncommitted_changes: POST /books" in outcome.failed["tests/test_books.py::test_add"]
    assert "guard n_plus_one: GET /books sent the same SELECT 9 times" in "".join(outcome.failed.values())


def test_malformed_requests_that_reach_no_route(service: Changed) -> None:
    changed(service, "pyproject.toml", 'base_url = "http://library.test"\n', "")

    outcome = service.pytest(f"{CHECKS}/test_requests.py")

    [said] = outcome.failed.values()
    assert said.startswith("No malformed request has reached a route; the status of the last of ")
    assert "responses is 400. If the application has TrustedHostMiddleware, set base_url" in said


def test_malformed_requests_of_a_client_with_a_path(service: Changed) -> None:
    own = OWN_CLIENT.partition("@pytest.fixture\nasync def session")[0].replace("library.test", "library.test/books")
    conftest = service.folder / "conftest.py"
    conftest.write_text(f"{conftest.read_text()}\n{own}")
    changed(service, "app/main.py", "    return list(await", "    1 / (limit - 77)\n    return list(await")
    changed(service, "app/main.py", "ge=1, le=100", "ge=1")

    outcome = service.pytest(f"{CHECKS}/test_requests.py")

    [said] = outcome.failed.values()
    assert "GET /books with limit = 9223372036854775808: " in said
    assert "HTTP Request" not in said


def test_nan_that_the_response_repeats(service: Changed) -> None:
    changed(service, "app/main.py", "@app.exception_handler(RequestValidationError)\n", "")

    outcome = service.pytest(f"{CHECKS}/test_requests.py")

    [said] = outcome.failed.values()
    assert "POST /books with title = nan: ValueError (Out of range float values are not JSON compliant" in said
    assert "handle RequestValidationError, and leave `input` out of the response" in said


SEQUENCES = """import pytest


@pytest.mark.anyio
@pytest.mark.parametrize("number", range(3))
async def test_the_first_id(client, number):
    for id in (1, 2):
        response = await client.post("/books", json={"title": f"Emma {'again' * id}"})
        assert response.json()["id"] == id
"""


def test_sequences_that_restart(service: Changed) -> None:
    (service.folder / "tests" / "test_books.py").write_text(SEQUENCES)

    assert len(service.pytest("tests/test_books.py").failed) == 2
    changed(service, "pyproject.toml", "base_url", "restart_sequences = true\nbase_url")

    outcome = service.pytest("tests/test_books.py")

    assert len(outcome.passed) == 3, outcome.output


def test_sequences_restart_above_the_rows_of_every_test(service: Changed) -> None:
    lines = """from contextlib import asynccontextmanager
from app.db import Session

@asynccontextmanager
async def started(app):
    async with Session() as session:
        session.add(Book(title="Persuasion"))
        await session.commit()
    yield

"""
    changed(service, "app/main.py", "app = FastAPI(", f"{lines}\napp = FastAPI(lifespan=started, ")
    changed(service, "pyproject.toml", "base_url", "restart_sequences = true\nbase_url")
    (service.folder / "tests" / "test_books.py").write_text(SEQUENCES.replace("(1, 2)", "(2, 3)"))

    outcome = service.pytest("tests/test_books.py")

    assert len(outcome.passed) == 3, outcome.output


def test_sequences_with_a_start_and_odd_rows(service: Changed) -> None:
    """A row of every test with id 0, below the start of its sequence."""
    changed(
        service,
        "pyproject.toml",
        'sql_before_migrations = ["CREATE SCHEMA audit"]',
        'restart_sequences = true\nsql_before_migrations = ["CREATE SCHEMA audit", '
        '"CREATE TABLE kinds (id int GENERATED BY DEFAULT AS IDENTITY (START 1000), name text)", '
        '"INSERT INTO kinds (id) VALUES (0)", "CREATE SEQUENCE named OWNED BY kinds.name"]',
    )
    (service.folder / "tests" / "test_books.py").write_text(
        "import pytest\nfrom app.db import Session\nfrom sqlalchemy import text\n\n\n"
        "@pytest.mark.anyio\n@pytest.mark.parametrize('number', range(2))\nasync def test_next(number):\n"
        "    async with Session() as session:\n"
        "        assert await session.scalar(text('INSERT INTO kinds DEFAULT VALUES RETURNING id')) == 1000\n"
        "        assert await session.scalar(text(\"SELECT nextval('named')\")) == 1\n"
    )

    outcome = service.pytest("tests/test_books.py")

    assert len(outcome.passed) == 2, outcome.output
