"""The harness runs on the oldest versions that it names, on httpx2, and on both; older ones are refused in one line.

On the newest versions the variants run, since they are installed without a lock.
"""

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.environment import UV
from tests.existing.conftest import CHECKS
from tests.mistakes.catalogue import Edit
from tests.mistakes.project import Changed
from tests.rendering import ROOT

pytestmark = pytest.mark.xdist_group("existing")

VERSIONS = ROOT / "template/tests/harness/versions.py"
REQUIREMENTS = "tests/harness-requirements.txt"

# A route that calls another service in its transaction, and keeps the client open.
WAITS = """
import {library}

@app.get("/waits")
async def waits(db: Db) -> int:
    await db.scalar(select(1))
    client = {library}.AsyncClient(transport={library}.MockTransport(lambda request: {library}.Response(200)))
    return (await client.get("http://example.com")).status_code
"""
# The project's own client, and the client of the harness.
TESTS = """
import pytest
import {library}

from app.main import app

@pytest.mark.anyio
async def test_own_client(db_session) -> None:
    transport = {library}.ASGITransport(app=app)
    async with {library}.AsyncClient(transport=transport, base_url="http://library.test") as client:
        assert (await client.post("/books", json={{"title": "Emma"}})).status_code == 201
        assert (await client.get("/books")).json() == ["Emma"]

@pytest.mark.anyio
@pytest.mark.allow_guard("unclosed_http_client")
async def test_transaction(client) -> None:
    await client.get("/waits")

@pytest.mark.anyio
@pytest.mark.allow_guard("idle_in_transaction")
async def test_unclosed(client) -> None:
    await client.get("/waits")

@pytest.mark.anyio
async def test_library(client) -> None:
    assert isinstance(client, pytest.importorskip("{of_harness}").AsyncClient)
"""


def oldest() -> dict[str, str]:
    """The versions in the harness's `versions.py`, without importing it."""
    for statement in ast.parse(VERSIONS.read_text()).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "OLDEST":
            found: dict[str, str] = ast.literal_eval(statement.value)
            return found
    raise AssertionError("OLDEST")


Install = Callable[..., Changed]


@pytest.fixture
def install(default_python: Path, tmp_path: Path) -> Install:
    """`install(service, *pins)`: the service in an environment of its own, with these requirements."""

    def install(service: Changed, *requirements: str) -> Changed:
        environment = tmp_path / "environment"
        service.check(UV, "venv", "--quiet", "--python", default_python, environment)
        service.check(UV, "pip", "install", "-q", "--python", environment, "-r", REQUIREMENTS, *requirements)
        return Changed(service.folder, {**service.env, "UV_PROJECT_ENVIRONMENT": str(environment)})

    return install


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_oldest(service: Changed, install: Install, driver: str) -> None:
    extras = {"sqlalchemy": "[asyncio]", "psycopg": "[binary]"}
    unused = {"httpx2"} | ({"asyncpg"} if driver == "psycopg" else set())
    pins = [f"{name}{extras.get(name, '')}=={version}" for name, version in oldest().items() if name not in unused]
    for path in ("app/db.py", "alembic.ini"):
        Edit(path, "postgresql+asyncpg", f"postgresql+{driver}").make(service.folder)
    Edit("pyproject.toml", '  "asyncpg>=0.29",\n', "").make(service.folder)

    outcome = install(service, *pins).pytest_from_start()

    assert outcome.code == 0, outcome.output
    assert f"{CHECKS}/test_requests.py::test_malformed_requests_get_no_5xx" in outcome.passed


@pytest.mark.parametrize("libraries", [("httpx2",), ("httpx", "httpx2")], ids=lambda names: " and ".join(names))
def test_httpx2(service: Changed, install: Install, libraries: tuple[str, ...]) -> None:
    if "httpx" not in libraries:
        Edit(REQUIREMENTS, "\nhttpx\n", "\n").make(service.folder)
        Edit("tests/test_books.py", "from httpx import", "from httpx2 import").make(service.folder)
    main = service.folder / "app" / "main.py"
    main.write_text(main.read_text() + WAITS.format(library="httpx2"))
    tests = service.folder / "tests" / "test_httpx2.py"
    tests.write_text(TESTS.format(library="httpx2", of_harness=libraries[0]))

    outcome = install(service, "alembic", "asyncpg", "fastapi", "httpx2", "sqlalchemy[asyncio]").pytest_from_start()

    fired = {node.rpartition("::")[2]: report.partition("guard ")[2] for node, report in outcome.failed.items()}
    assert fired.keys() == {"test_transaction", "test_unclosed"}, outcome.output
    assert fired["test_transaction"].startswith("idle_in_transaction: ")
    assert fired["test_unclosed"].startswith("unclosed_http_client: ")


def test_the_page_has_the_same_versions() -> None:
    """Each version stands in the requirements' comments, above the line that it is of."""
    requirements = (ROOT / "existing" / "{{ tests_folder }}" / "harness-requirements.txt.jinja").read_text()

    for name in ("httpx", "psycopg", "pytest"):
        version = oldest()[name].removesuffix(".0")
        assert f"# {version} or newer" in requirements, name
    assert f"SQLAlchemy {oldest()['sqlalchemy']} or newer" in requirements
