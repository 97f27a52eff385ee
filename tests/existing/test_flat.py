"""A service that nothing was rendered of but the harness: `[tool.savepoint]` says where everything is."""

import pytest

from tests.existing.conftest import CHECKS, changed
from tests.mistakes.catalogue import Edit
from tests.mistakes.project import Changed

pytestmark = pytest.mark.xdist_group("existing")


def test_its_suite_and_the_checks_pass(service: Changed) -> None:
    # In this order, migrations run before the service's own tests.
    outcome = service.pytest("-p", "no:randomly")

    assert outcome.code == 0, outcome.output
    assert "savepoint: " not in outcome.output
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
    """AnyIO's plugin sets up such a fixture for asynchronous tests only; this check is synchronous."""
    fixture = "import pytest\n\n@pytest.fixture(scope='session', autouse=True)\nasync def started():\n    yield\n"
    conftest = service.folder / "conftest.py"
    conftest.write_text(fixture + conftest.read_text())

    outcome = service.pytest(f"{CHECKS}/test_models.py::test_env_imports_every_model")

    assert outcome.code == 0, outcome.output


@pytest.mark.parametrize("arguments", [[], ["tests/test_books.py"], [CHECKS]])
def test_a_connection_while_a_conftest_imports_the_application(service: Changed, arguments: list[str]) -> None:
    """The conftest.py above it has loaded the harness. Without a refusal, there is no such server."""
    main = service.folder / "app" / "main.py"
    main.write_text(f'{main.read_text()}\nimport psycopg\npsycopg.connect("postgresql://nobody@127.0.0.1:1/nobodys")\n')
    (service.folder / "tests" / "conftest.py").write_text("import app.main\n")

    outcome = service.pytest_from_start(*arguments)

    assert "NoTestDatabaseError: A connection to PostgreSQL was requested (app/main.py:" in outcome.output


@pytest.mark.parametrize("folder", [CHECKS, "tests"])
def test_the_harness_is_not_loaded(service: Changed, folder: str) -> None:
    (service.folder / "conftest.py").unlink()

    outcome = service.pytest(folder)

    assert "INTERNALERROR" not in outcome.output
    assert outcome.output.strip().splitlines()[-1] == (
        "ERROR: The harness is not loaded. Write into conftest.py beside pyproject.toml: pytest_plugins = "
        '["tests.harness"]'
    )


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
