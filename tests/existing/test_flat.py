"""A service that nothing was rendered of but the harness: `[tool.savepoint]` says where everything is."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from tests.mistakes.catalogue import Edit
from tests.mistakes.project import Changed

pytestmark = pytest.mark.xdist_group("existing")

CHECKS = "tests/harness/checks"


def test_its_suite_and_the_checks_pass(service: Changed) -> None:
    # In this order, migrations run before the service's own tests.
    outcome = service.pytest("-p", "no:randomly")

    assert outcome.code == 0, outcome.output
    assert {node.partition("::")[0] for node in outcome.passed} >= {
        "tests/test_books.py",
        f"{CHECKS}/test_migrations.py",
        f"{CHECKS}/test_models.py",
        f"{CHECKS}/test_requests.py",
    }


def test_a_run_from_a_folder_below(service: Changed) -> None:
    """alembic.ini has `script_location = alembic`, which Alembic takes for a path from the working directory."""
    below = Changed(service.folder / "tests", service.env)

    outcome = below.pytest_from_start("harness/checks/test_migrations.py")

    assert outcome.code == 0, outcome.output


def test_a_run_of_the_checks_alone(service: Changed) -> None:
    outcome = service.pytest(CHECKS)

    assert outcome.code == 0, outcome.output


def test_an_async_fixture_of_every_test(service: Changed) -> None:
    """AnyIO's plugin sets up such a fixture for asynchronous tests only; many checks are synchronous."""
    fixture = "import pytest\n\n@pytest.fixture(scope='session', autouse=True)\nasync def started():\n    yield\n"
    conftest = service.folder / "conftest.py"
    conftest.write_text(fixture + conftest.read_text())

    outcome = service.pytest(CHECKS)

    assert outcome.code == 0, outcome.output


def test_the_harness_is_not_loaded(service: Changed) -> None:
    (service.folder / "conftest.py").unlink()

    outcome = service.pytest(CHECKS)

    assert outcome.output.strip().splitlines()[-1] == (
        "ERROR: The harness is not loaded. Write into conftest.py beside pyproject.toml: pytest_plugins = "
        '["tests.harness"]'
    )


def test_a_schema_that_migrations_need(service: Changed) -> None:
    changed(service, "pyproject.toml", 'sql_before_migrations = ["CREATE SCHEMA audit"]\n', "")

    outcome = service.pytest()

    assert 'add to [tool.savepoint]: sql_before_migrations = ["CREATE SCHEMA audit"]' in outcome.output


def test_env_py_that_runs_no_migration(service: Changed) -> None:
    """The template database is kept between runs, and must not be kept without its tables."""
    env = service.folder / "alembic" / "env.py"
    right = env.read_text()
    env.write_text(right.replace("        context.run_migrations()\n", "        pass\n"))

    outcome = service.pytest("tests/test_books.py")

    assert "alembic/env.py has run 0 of 1 migrations on its connection." in outcome.output
    env.write_text(right)
    assert service.pytest("tests/test_books.py").code == 0


def test_env_py_that_leaves_its_engine_open(service: Changed) -> None:
    """The first test that connects, in the middle of the test."""
    changed(service, "alembic/env.py", "    await engine.dispose()\n", "")
    changed(service, "alembic/env.py", ", poolclass=pool.NullPool", "")
    (service.folder / "tests" / "test_books.py").write_text(
        "import pytest\nfrom app.db import Session\nfrom app.models import Book\n\n\n"
        "@pytest.mark.anyio\nasync def test_a_session():\n"
        "    async with Session() as session:\n"
        "        session.add(Book(title='Emma'))\n        await session.commit()\n"
    )

    assert service.pytest("tests/test_books.py").code == 0
    outcome = service.pytest(CHECKS)

    assert outcome.code == 0, outcome.output


def test_two_names_of_one_default(service: Changed) -> None:
    changed(service, "app/models.py", "server_default=func.now()", 'server_default=text("CURRENT_TIMESTAMP")')
    changed(service, "app/models.py", "String, func", "String, text")

    outcome = service.pytest(f"{CHECKS}/test_migrations.py")

    assert outcome.code == 0, outcome.output


@pytest.mark.parametrize("check", ["test_up_down_consistency", "test_models_match_migrations"])
def test_a_check_of_migrations_alone(service: Changed, check: str) -> None:
    """env.py connects in a test that has no database of its own yet."""
    outcome = service.pytest(f"{CHECKS}/test_migrations.py::{check}")

    assert outcome.code == 0, outcome.output


def changed(service: Changed, path: str, old: str, new: str) -> Changed:
    Edit(path, old, new).make(service.folder)
    return service


def test_no_migrations_at_all(service: Changed) -> None:
    """The schema is that of the models, and is built again when a model changes."""
    shutil.rmtree(service.folder / "alembic")
    (service.folder / "alembic.ini").unlink()

    outcome = service.pytest()

    assert outcome.code == 0, outcome.output
    assert {node.partition("::")[0] for node in outcome.passed} >= {f"{CHECKS}/test_models.py", "tests/test_books.py"}
    assert not {node for node in outcome.passed if "migration" in node}
    changed(service, "app/models.py", "    added_at", "    pages: Mapped[int] = mapped_column(default=1)\n    added_at")
    assert service.pytest("tests/test_books.py").code == 0


def test_no_migrations_and_no_metadata(service: Changed) -> None:
    (service.folder / "alembic.ini").unlink()
    changed(service, "pyproject.toml", 'models_metadata = "app.models:Base.metadata"\n', "")

    outcome = service.pytest()

    assert "There is no alembic.ini. Without migrations, the schema is created from the models: set" in outcome.output


SQLITE_ENV = """
from alembic import context
from app.models import Base
from sqlalchemy import create_engine

engine = create_engine("sqlite:///library.db")
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
"""


@pytest.mark.parametrize("arguments", [[CHECKS], []], ids=["the checks", "the suite"])
def test_migrations_that_would_run_on_sqlite(service: Changed, arguments: list[str]) -> None:
    """The checks downgrade to an empty database: they must not reach the developer's file."""
    (service.folder / "alembic" / "env.py").write_text(SQLITE_ENV)
    file = service.folder / "library.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE books (title TEXT)")
    before = file.read_bytes()

    outcome = service.pytest(*arguments)

    assert outcome.code != 0
    assert "NotPostgreSQLError: env.py connects to sqlite, not to PostgreSQL. Set the URL" in outcome.output
    assert file.read_bytes() == before


LIFESPAN = """from contextlib import asynccontextmanager

@asynccontextmanager
async def started(app):
    app.state.library = {}
    yield
"""


@pytest.mark.parametrize("made", ["library = {}\n", LIFESPAN], ids=["when it is imported", "in the lifespan"])
def test_an_application_on_sqlite(service: Changed, made: str) -> None:
    changed(service, "app/db.py", "engine = create_async_engine(DATABASE_URL)\n", "")
    changed(service, "app/db.py", "async_sessionmaker(engine, ", "async_sessionmaker(")
    changed(
        service, "app/main.py", "app = FastAPI(", made.format('create_engine("sqlite:///a.db")') + "\napp = FastAPI("
    )
    changed(service, "app/main.py", "import select\n", "import create_engine, select\n")
    if "started" in made:
        changed(service, "app/main.py", 'FastAPI(title="Library")', 'FastAPI(title="Library", lifespan=started)')

    outcome = service.pytest("tests/test_books.py")

    assert outcome.code != 0
    assert "The application connects to sqlite, not to PostgreSQL: tests would write to its database." in outcome.output
    assert "Traceback" not in outcome.output


def test_blocking_code_in_a_source_folder(service: Changed) -> None:
    Edit("app/main.py", "from typing import Annotated\n", "import time\nfrom typing import Annotated\n").make(
        service.folder
    )
    changed(service, "app/main.py", "    return list(await", "    time.sleep(0.001)\n    return list(await")

    outcome = service.pytest("tests/test_books.py")

    assert (
        "guard blocking_call: time.sleep() blocked the event loop:\n  app/main.py:"
        in outcome.failed["tests/test_books.py::test_no_book_is_there_at_first"]
    )


OWN_CLIENT = """import pytest
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


def test_a_model_that_env_py_does_not_import(service: Changed) -> None:
    (service.folder / "app" / "loans.py").write_text(
        "from sqlalchemy.orm import Mapped, mapped_column\n\nfrom app.models import Base\n\n\n"
        "class Loan(Base):\n"
        '    __tablename__ = "loans"\n'
        "    id: Mapped[int] = mapped_column(primary_key=True)\n"
    )

    outcome = service.pytest(f"{CHECKS}/test_models.py")

    [said] = outcome.failed.values()
    assert "\napp/loans.py\n" in said


def test_a_column_without_a_migration(service: Changed) -> None:
    changed(service, "app/models.py", "    added_at", "    pages: Mapped[int]\n    added_at")

    outcome = service.pytest(f"{CHECKS}/test_migrations.py")

    said = "\n".join(outcome.failed.values())
    assert "op.add_column('books', sa.Column('pages', sa.Integer(), nullable=False))" in said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            '"app.main:app"',
            '"app.mian:app"',
            "pyproject.toml: [tool.savepoint]: application = 'app.mian:app': No module named 'app.mian'.",
        ),
        (
            '"app.main:app"',
            '"app.main:create_app()"',
            "pyproject.toml: [tool.savepoint]: application = 'app.main:create_app()': module 'app.main' has no "
            "attribute 'create_app'.",
        ),
        (
            '"app.models:Base.metadata"',
            '"app.models:Base.metdata"',
            "pyproject.toml: [tool.savepoint]: models_metadata = 'app.models:Base.metdata': type object 'Base' has no "
            "attribute 'metdata'.",
        ),
        (
            '["CREATE SCHEMA audit"]',
            '["CREATE SCHEMA pg_audit"]',
            "pyproject.toml: [tool.savepoint]: sql_before_migrations: CREATE SCHEMA pg_audit: unacceptable schema name",
        ),
        (
            "base_url",
            'source_folders = ["src"]\nbase_url',
            "pyproject.toml: [tool.savepoint]: source_folders: no folder src",
        ),
        (
            "base_url",
            'alembic_ini = "alembic/alembic.ini"\nbase_url',
            "alembic_ini: no file alembic/alembic.ini",
        ),
    ],
)
def test_a_setting_that_is_wrong(service: Changed, old: str, new: str, said: str) -> None:
    changed(service, "pyproject.toml", old, new)

    outcome = service.pytest()

    assert outcome.code != 0
    assert said in outcome.output, outcome.output
