"""The schema of a service: by an env.py of any shape, without migrations, and never on another database system."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from tests.existing.conftest import CHECKS, changed
from tests.mistakes.project import Changed

pytestmark = pytest.mark.xdist_group("existing")


@pytest.mark.parametrize("check", ["test_up_down_consistency", "test_models_match_migrations"])
def test_a_check_of_migrations_alone(service: Changed, check: str) -> None:
    """env.py connects in a test that has no database of its own yet."""
    outcome = service.pytest(f"{CHECKS}/test_migrations.py::{check}")

    assert outcome.code == 0, outcome.output


def test_a_schema_that_migrations_need(service: Changed) -> None:
    changed(service, "pyproject.toml", 'sql_before_migrations = ["CREATE SCHEMA audit"]\n', "")

    outcome = service.pytest()

    assert 'add "CREATE SCHEMA audit" to the list sql_before_migrations under [tool.savepoint].' in outcome.output


def test_an_extension_that_the_server_does_not_have(service: Changed) -> None:
    changed(
        service,
        "alembic/versions/0001_books.py",
        "def upgrade() -> None:\n",
        'def upgrade() -> None:\n    op.execute("CREATE EXTENSION no_such")\n',
    )

    outcome = service.pytest()

    assert "The server in use does not have no_such. Use one that has it: an installed PostgreSQL, by" in outcome.output


def test_a_revision_that_locks_more_than_the_server_allows(service: Changed) -> None:
    changed(
        service,
        "alembic/versions/0001_books.py",
        "def upgrade() -> None:\n",
        'def upgrade() -> None:\n    op.execute("SELECT pg_advisory_xact_lock(i) FROM generate_series(1, 99999) i")\n',
    )

    outcome = service.pytest()

    assert "One transaction locks more objects than the server allows, as it would in production." in outcome.output


def test_env_py_that_runs_no_migration(service: Changed) -> None:
    """The template database is kept between runs, and must not be kept without its tables."""
    env = service.folder / "alembic" / "env.py"
    right = env.read_text()
    env.write_text(right.replace("        context.run_migrations()\n", "        pass\n"))

    outcome = service.pytest("tests/test_books.py")

    assert "alembic/env.py has run 0 of 1 migrations on its connection." in outcome.output
    env.write_text(right)
    assert service.pytest("tests/test_books.py").code == 0


def test_an_ini_that_alembic_warns_of(service: Changed) -> None:
    """`alembic init` of versions before 1.16 writes no path_separator."""
    assert "path_separator" not in (service.folder / "alembic.ini").read_text()

    assert service.pytest("tests/test_books.py", "-W", "error::DeprecationWarning").code == 0


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


def test_an_index_that_create_all_cannot_create(service: Changed) -> None:
    """The rest is compared."""
    changed(service, "app/models.py", "class Book(Base):\n", BOOK_WITH_INDEX)
    changed(service, "app/models.py", "String, func", "Index, String, func, text")

    outcome = service.pytest(f"{CHECKS}/test_migrations.py")

    assert outcome.code == 0, outcome.output
    said = "test_models_match_migrations: not compared, since create_all() cannot create it: index public.ix: "
    assert f"{said}function gone(character varying) does not exist" in outcome.output

    changed(service, "app/models.py", "    added_at", "    pages: Mapped[int]\n    added_at")

    outcome = service.pytest(f"{CHECKS}/test_migrations.py")

    assert "op.add_column('books', sa.Column('pages', sa.Integer(), nullable=False))" in outcome.output


BOOK_WITH_INDEX = """class Book(Base):
    __table_args__ = (Index("ix", text("gone(title)")),)
"""


HERO = """from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class OtherBase(DeclarativeBase):
    pass


class Hero(OtherBase):
    __tablename__ = "heroes"

    id: Mapped[int] = mapped_column(primary_key=True)
"""


def test_a_second_declarative_base(service: Changed) -> None:
    """It is named until env.py knows it, and compared then."""
    (service.folder / "app" / "heroes.py").write_text(HERO)
    changed(
        service, "alembic/env.py", "from app.models import Base", "from app import heroes\nfrom app.models import Base"
    )
    check = f"{CHECKS}/test_models.py::test_env_imports_every_model"
    drift = f"{CHECKS}/test_migrations.py::test_models_match_migrations"

    outcome = service.pytest(check)

    assert "target_metadata of alembic/env.py lacks these tables" in outcome.output, outcome.output
    assert "app/heroes.py: heroes" in outcome.output

    both = "target_metadata=[Base.metadata, heroes.OtherBase.metadata]"
    changed(service, "alembic/env.py", "target_metadata=Base.metadata", both)
    outcome = service.pytest(check, drift)

    assert list(outcome.failed) == [drift], outcome.output
    assert "op.create_table('heroes'," in outcome.output


def test_env_py_with_which_autogenerate_fails(service: Changed) -> None:
    """The catalog is compared all the same, and SQL is printed."""
    changed(service, "app/models.py", "    added_at", "    pages: Mapped[int]\n    added_at")
    changed(service, "alembic/env.py", "Base.metadata)", "Base.metadata, include_object=lambda *arguments: 1 / 0)")

    outcome = service.pytest(f"{CHECKS}/test_migrations.py::test_models_match_migrations")

    assert 'op.execute("ALTER TABLE public.books ADD COLUMN pages integer NOT NULL")' in outcome.output
    assert "Alembic's autogenerate fails, so its operations are not shown: alembic/env.py:" in outcome.output
    assert "ZeroDivisionError: division by zero" in outcome.output
    assert "Traceback" not in outcome.output


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


def test_no_migrations_and_an_application_that_is_no_package(service: Changed) -> None:
    """Its modules are at the root."""
    shutil.rmtree(service.folder / "alembic")
    (service.folder / "alembic.ini").unlink()
    for path in (service.folder / "app").glob("*.py"):
        path.write_text(path.read_text().replace("from app.", "from "))
        path.rename(service.folder / path.name)
    (service.folder / "__init__.py").unlink()
    changed(service, "pyproject.toml", '"app.main:app"', '"main:app"')
    changed(service, "pyproject.toml", '"app.models:', '"models:')
    assert service.pytest("tests/test_books.py").code == 0
    changed(service, "models.py", "    added_at", "    pages: Mapped[int] = mapped_column(default=1)\n    added_at")

    outcome = service.pytest("tests/test_books.py")

    assert outcome.code == 0, outcome.output


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
