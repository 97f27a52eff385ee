"""`python -m tests.harness.adopt` finds the parts of a service, and writes what the harness has to know of them."""

import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from tests.environment import UV, Project
from tests.mistakes.project import Changed
from tests.preloaded import run_module
from tests.rendering import ROOT

pytestmark = pytest.mark.xdist_group("existing")

FOUND = """\
postgres_version = 18
application = "app.main:app"
models_metadata = "app.models:Base.metadata"
"""
TRUSTED = 'app.add_middleware(TrustedHostMiddleware, allowed_hosts=["library.test"])\n'
MAIN, ENV, PROJECT = "app/main.py", "alembic/env.py", "pyproject.toml"


@pytest.fixture
def before(service: Changed) -> Changed:
    """The service without a word of the harness."""
    path = service.folder / PROJECT
    path.write_text(path.read_text().partition("\n[tool.savepoint]")[0])
    (service.folder / "conftest.py").unlink()
    for line in ("from fastapi.middleware.trustedhost import TrustedHostMiddleware\n", TRUSTED):
        edit(service, MAIN, line, "")
    return service


def adopt(service: Project, *arguments: str) -> str:
    done = run_module(service, "tests.harness.adopt", *arguments)
    assert "Traceback" not in done.stdout, done.stdout
    return done.stdout


def edit(service: Project, path: str, old: str, new: str) -> None:
    file = service.folder / path
    assert file.read_text().count(old), f"{path} has no {old!r}"
    file.write_text(file.read_text().replace(old, new))


def adopt_and_write(service: Project) -> str:
    return service.check(UV, "run", "--no-sync", "--with", "tomlkit", "python", "-m", "tests.harness.adopt", "--write")


def test_what_is_to_be_written_is_printed(before: Changed) -> None:
    files = {path: path.read_bytes() for path in before.folder.rglob("*.*") if path.is_file()}

    assert adopt(before) == (
        f"pyproject.toml, to be written:\n\n[tool.savepoint]\n{FOUND}\n"
        'conftest.py, to be written:\n\npytest_plugins = ["tests.harness"]\n\n'
    )
    assert {path: path.read_bytes() for path in files} == files


def test_it_is_written_and_the_rest_is_kept(before: Changed) -> None:
    edit(before, PROJECT, 'name = "library"', "name = 'library'   # the owner's comment")
    (before.folder / "conftest.py").write_text("# the owner's conftest\n")
    project = (before.folder / PROJECT).read_text()
    command = [UV, "run", "--no-sync", "--with", "tomlkit", "python", "-m", "tests.harness.adopt", "--write"]

    before.check(*command)

    assert (before.folder / PROJECT).read_text() == f"{project}\n[tool.savepoint]\n{FOUND}"
    assert (
        before.folder / "conftest.py"
    ).read_text() == '# the owner\'s conftest\npytest_plugins = ["tests.harness"]\n'
    assert before.check(*command) == "Nothing is to be written.\n"


def test_line_ends_and_tabs_are_kept(before: Changed) -> None:
    project = (before.folder / PROJECT).read_text().replace("  ", "\t").replace("\n", "\r\n").encode()
    (before.folder / PROJECT).write_bytes(project)
    (before.folder / "conftest.py").write_bytes(b"\xef\xbb\xbfimport pytest\r\n")

    adopt_and_write(before)

    added = f"\n[tool.savepoint]\n{FOUND}".replace("\n", "\r\n").encode()
    assert (before.folder / PROJECT).read_bytes() == project + added
    assert (before.folder / "conftest.py").read_bytes() == (
        b'\xef\xbb\xbfimport pytest\r\npytest_plugins = ["tests.harness"]\r\n'
    )


def test_what_is_complete_is_not_touched(before: Changed) -> None:
    """Also in a folder with a hidden one above it, and with blank lines at the end."""
    hidden = Changed(before.folder.parent / ".hidden" / "flat", before.env)
    shutil.copytree(before.folder, hidden.folder)
    adopt_and_write(hidden)
    for path in (PROJECT, "conftest.py"):
        (hidden.folder / path).write_text((hidden.folder / path).read_text() + "\n\n")
    files = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in hidden.folder.glob("*.*") if path.is_file()}

    assert adopt_and_write(hidden) == "Nothing is to be written.\n"

    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files} == files


def test_tables_in_any_order(before: Changed) -> None:
    text = (
        '[tool.a]\nb = 1\n\n[project]\nname = "x"\nversion = "1"\ndependencies = ["asyncpg"]\n\n[tool.c]\nd = 1 # e\n'
    )
    (before.folder / PROJECT).write_text(text)

    adopt_and_write(before)

    written = (before.folder / PROJECT).read_text()
    assert written.replace(f"[tool.savepoint]\n{FOUND}\n", "").split() == text.split()
    assert tomllib.loads(written) == tomllib.loads(f"{text}\n[tool.savepoint]\n{FOUND}")


def test_a_service_without_pyproject_toml(before: Changed) -> None:
    (before.folder / PROJECT).unlink()
    (before.folder / "requirements.txt").write_text("asyncpg\n")
    (before.folder / "pytest.ini").write_text("[pytest]\ntestpaths = tests/unit\n")

    said = adopt(before, "--write")

    assert (before.folder / PROJECT).read_text() == f"[tool.savepoint]\n{FOUND}"
    assert 'a plain run. Add "tests/harness/checks" to it.' in said
    assert "Nothing is to be written." in adopt(before)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xef\xbb\xbf[project]\n", "pyproject.toml begins with a byte order mark, which is no TOML"),
        (b"[project\n", "pyproject.toml: this is not TOML: "),
        (b"# \xff\n", "pyproject.toml: this is not TOML: "),
    ],
    ids=str,
)
def test_a_file_that_is_not_toml(before: Changed, content: bytes, said: str) -> None:
    (before.folder / PROJECT).write_bytes(content)

    assert adopt(before).startswith(said)


def test_a_conftest_without_a_last_newline(before: Changed) -> None:
    (before.folder / "conftest.py").write_text("import pytest")

    adopt_and_write(before)

    assert (before.folder / "conftest.py").read_text() == 'import pytest\npytest_plugins = ["tests.harness"]\n'


@pytest.mark.parametrize(
    "text",
    ["# tests.harness is loaded elsewhere\n", "from tests.harness import Create\n", 'NAME = "tests.harness"\n'],
)
def test_a_conftest_that_only_names_the_harness(before: Changed, text: str) -> None:
    (before.folder / "conftest.py").write_text(text)

    assert "conftest.py, to be written" in adopt(before)


@pytest.mark.parametrize("text", ['pytest_plugins = ("a", "tests.harness")\n', 'pytest_plugins = "tests.harness"\n'])
def test_a_conftest_that_loads_the_harness(before: Changed, text: str) -> None:
    (before.folder / "tests" / "conftest.py").write_text(text)

    assert "conftest.py" not in adopt(before)


@pytest.mark.parametrize(
    "text",
    [
        'pytest_plugins = ["app.fixtures"]\n',
        'pytest_plugins: list[str] = ["app.fixtures"]\n',
        'import os\n\nif os.environ:\n    pytest_plugins = ["app.fixtures"]\n',
    ],
)
def test_plugins_of_the_owners_are_kept(before: Changed, text: str) -> None:
    (before.folder / "conftest.py").write_text(text)

    said = adopt_and_write(before)

    assert (before.folder / "conftest.py").read_text() == text
    assert 'conftest.py has `pytest_plugins` already. Add "tests.harness" to its list.\n' in said


def test_of_several_applications_the_likeliest_is_taken(before: Changed) -> None:
    (before.folder / "app" / "admin.py").write_text("import fastapi\n\nadmin = fastapi.FastAPI()\n")

    said = adopt(before)

    assert 'application = "app.main:app"\n' in said
    assert "Several applications were found: app.main:app, app.admin:admin. The first was taken." in said


def test_the_application_of_a_module_and_not_its_factory(before: Changed) -> None:
    """Its tests override the dependencies of the module's."""
    factory = "def create_app() -> FastAPI:\n    return make()\n\n\napp = create_app("
    edit(before, MAIN, 'app = FastAPI(title="Library")', f"{factory})")

    said = adopt(before)

    assert 'application = "app.main:app"\n' in said
    assert "Several" not in said


def test_an_application_that_is_written_is_not_searched(before: Changed) -> None:
    edit(before, MAIN, 'app = FastAPI(title="Library")', "app = make()")
    edit(before, PROJECT, "[tool.pytest", '[tool.savepoint]\napplication = "app.main:app"\n\n[tool.pytest')

    assert "models_metadata" in adopt(before)


def test_a_table_below_stays_apart(before: Changed) -> None:
    (before.folder / PROJECT).write_text((before.folder / PROJECT).read_text() + "\n[build-system]\nrequires = []\n")

    adopt_and_write(before)

    assert (
        (before.folder / PROJECT)
        .read_text()
        .endswith(f"\n\n[tool.savepoint]\n{FOUND}\n[build-system]\nrequires = []\n")
    )


def test_fixtures_that_the_harness_replaces(before: Changed) -> None:
    (before.folder / "conftest.py").write_text(
        "import pytest\n\n\n@pytest.fixture(scope='session', autouse=True)\nasync def database(engine):\n"
        "    async with engine.begin() as connection:\n"
        "        await connection.run_sync(Base.metadata.create_all)\n\n\n"
        "@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"
    )

    said = adopt(before)

    assert "create a database or its tables, which the harness does from the migrations." in said
    assert "  conftest.py:5: database\n" in said
    assert "Delete these fixtures. The harness has the fixture anyio_backend" in said
    assert "  conftest.py:11: anyio_backend\n" in said


HOOKS = """
import pytest
from app.models import Base


def pytest_sessionstart(session):
    create_database("postgresql://localhost/library_test")


def pytest_configure(config):
    pass


@pytest.fixture(autouse=True)
def _tables(engine):
    Base.metadata.create_all(engine)


@pytest.fixture(name="client")
def client_fixture():
    ...


@pytest.fixture
def _server():
    ...
"""


def test_hooks_and_fixtures_of_any_name(before: Changed) -> None:
    (before.folder / "conftest.py").write_text(HOOKS)

    said = adopt(before)

    created = "  conftest.py:15: _tables\n  conftest.py:6: pytest_sessionstart\n\n"
    assert f"Move what else a fixture sets, such as environment variables.\n{created}" in said
    assert "the harness does not need its own.\n  conftest.py:20: client\n\n" in said
    assert "a fixture of this name, and would get yours.\n  conftest.py:25: _server\n\n" in said
    assert "pytest_configure" not in said


@pytest.mark.parametrize("base", ["class Base(DeclarativeBase):\n    pass\n", "Base = declarative_base()\n"])
def test_no_migrations(before: Changed, base: str) -> None:
    (before.folder / "alembic.ini").unlink()
    (before.folder / ENV).unlink()
    edit(before, "app/models.py", "class Base(DeclarativeBase):\n    pass\n", base)

    said = adopt(before)

    assert 'models_metadata = "app.models:Base.metadata"\n' in said
    assert "There is no alembic.ini: the schema of the tests is that of the models" in said


def test_no_metadata(before: Changed) -> None:
    edit(before, ENV, "target_metadata=Base.metadata", "literal_binds=True")
    edit(before, "app/models.py", "class Base(DeclarativeBase)", "class Base(Model)")

    assert adopt(before).startswith("No metadata was found: no env.py has target_metadata")


def test_testpaths_without_the_checks(before: Changed) -> None:
    assert "testpaths" not in adopt(before)

    edit(before, PROJECT, 'testpaths = ["tests"]', 'testpaths = ["app", "tests/unit"]')

    assert 'a plain run. Add "tests/harness/checks" to it.' in adopt(before)


def test_imports_of_a_folder_that_was_no_package(before: Changed) -> None:
    (before.folder / "tests" / "helpers.py").write_text("EMMA = 'Emma'\n")
    test = before.folder / "tests" / "test_books.py"
    test.write_text(f"from helpers import EMMA\n{test.read_text()}")

    said = adopt(before)

    assert 'Write\n`from tests import …`, or add "tests" to pythonpath of pytest.\n  tests/test_books.py:1\n' in said
    edit(before, PROJECT, 'pythonpath = ["."]', 'pythonpath = [".", "tests"]')
    adopt_and_write(before)
    edit(before, PROJECT, "[tool.savepoint]", '[tool.savepoint]\nsql_before_migrations = ["CREATE SCHEMA audit"]')
    assert before.pytest("tests/test_books.py").code == 0


@pytest.mark.parametrize(
    "path",
    ["requirements/base.txt", "dev-requirements.txt", "pyproject.toml", "setup.py", "Pipfile", "deps/all.txt"],
)
def test_a_driver_elsewhere(before: Changed, path: str) -> None:
    """Also as an extra; and a virtual environment in the project is not read."""
    edit(before, PROJECT, '  "asyncpg>=0.29",\n', "")
    if path == PROJECT:
        edit(before, PROJECT, "sqlalchemy[asyncio]", "sqlalchemy[postgresql-asyncpg]")
    else:
        (before.folder / path).parent.mkdir(exist_ok=True)
        written = {"setup.py": 'setup(install_requires=["asyncpg>=0.29"])\n', "Pipfile": '[packages]\nasyncpg = "*"\n'}
        (before.folder / path).write_text(written.get(path, "asyncpg==0.31.0\n"))
        # As PowerShell writes it.
        (before.folder / "requirements.txt").write_text(f"-r {path}\nfastapi\n", encoding="utf-16")
    for folder in ("venv", "own"):
        (before.folder / folder).mkdir()
        (before.folder / folder / "pyvenv.cfg").touch()
        (before.folder / folder / "alembic.ini").touch()
        (before.folder / folder / "conftest.py").write_bytes(b"\xff tests.harness")
        (before.folder / folder / "main.py").write_text("from fastapi import FastAPI\n\napp = FastAPI()\n")
    (before.folder / "alembic.ini").rename(before.folder / "app" / "alembic.ini")

    said = adopt(before)

    assert 'application = "app.main:app"' in said
    assert 'alembic_ini = "app/alembic.ini"' in said
    assert "Several applications" not in said
    assert "conftest.py, to be written" in said


def test_code_below_a_folder_of_pythonpath(before: Changed) -> None:
    (before.folder / "backend").mkdir()
    for name in ("app", "alembic", "alembic.ini"):
        (before.folder / name).rename(before.folder / "backend" / name)
    edit(before, "backend/alembic/env.py", "target_metadata=Base.metadata", "literal_binds=True")
    edit(before, PROJECT, 'pythonpath = ["."]', 'pythonpath = [".", "backend"]')

    said = adopt(before)

    assert 'application = "app.main:app"\nmodels_metadata = "app.models:Base.metadata"\n' in said
    assert 'alembic_ini = "backend/alembic.ini"\n' in said


@pytest.mark.parametrize(
    ("base", "metadata"),
    [
        ("class Base(orm.DeclarativeBase)", "app.models:Base.metadata"),
        ("class Base(MappedAsDataclass, DeclarativeBase)", "app.models:Base.metadata"),
        ("class Book(SQLModel, table=True)", "sqlmodel:SQLModel.metadata"),
    ],
)
def test_a_base_of_another_shape(before: Changed, base: str, metadata: str) -> None:
    edit(before, ENV, "target_metadata=Base.metadata", "literal_binds=True")
    edit(before, "app/models.py", "class Base(DeclarativeBase)", base)

    assert f'models_metadata = "{metadata}"\n' in adopt(before)


def test_trusted_hosts(before: Changed) -> None:
    assert "base_url" not in adopt(before)

    edit(before, MAIN, "\n\nDb =", f"\n{TRUSTED}\nDb =")

    assert "TrustedHostMiddleware. Set base_url" in adopt(before)

    edit(before, PROJECT, "[tool.pytest", '[tool.savepoint]\nbase_url = "http://library.test"\n\n[tool.pytest')

    assert "base_url" not in adopt(before)


def test_tests_beside_the_code_that_the_new_package_hides(before: Changed) -> None:
    folder = before.folder / "jobs" / "tests"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()

    said = adopt(before)
    assert "Python imports these folders as `tests`" in said
    assert "  jobs/tests\n" in said

    (before.folder / "jobs" / "__init__.py").touch()

    assert "jobs/tests" not in adopt(before)


def test_a_setting_of_the_owners_is_kept(before: Changed) -> None:
    edit(before, PROJECT, "[tool.pytest", '[tool.savepoint]\napplication = "app.other:app"\n\n[tool.pytest')

    said = adopt(before)

    assert "application" not in said
    assert "models_metadata" in said


@pytest.mark.parametrize(
    ("path", "old", "new", "said"),
    [
        (MAIN, "app = FastAPI(", "app: FastAPI = fastapi.FastAPI(", 'application = "app.main:app"'),
        (MAIN, 'app = FastAPI(title="Library")', "def make(debug=False):\n    return FastAPI()", '"app.main:make()"'),
        (ENV, "from app.models import Base", "from app.models import Base as Models", '"app.models:Base"'),
        (ENV, "from app.models import Base\n", "from app import models\n", '"app:models.Base.metadata"'),
    ],
)
def test_other_shapes(before: Changed, path: str, old: str, new: str, said: str) -> None:
    edit(before, path, old, new)
    if "as Models" in new:
        edit(before, path, "target_metadata=Base.metadata", "target_metadata=Models")
    elif "import models" in new:
        edit(before, path, "target_metadata=Base.metadata", "target_metadata=models.Base.metadata")

    assert said in adopt(before)


def test_src_and_alembic_in_a_folder(before: Changed) -> None:
    (before.folder / "src").mkdir()
    (before.folder / "app").rename(before.folder / "src" / "app")
    (before.folder / "database").mkdir()
    (before.folder / "alembic.ini").rename(before.folder / "database" / "alembic.ini")

    said = adopt(before)

    assert 'application = "app.main:app"\n' in said
    assert 'alembic_ini = "database/alembic.ini"\n' in said


def test_fixtures_that_hide_the_harness_s_are_listed(before: Changed) -> None:
    (before.folder / "conftest.py").write_text(
        "import pytest\n\n\n@pytest.fixture\ndef client():\n    ...\n\n\n@pytest.fixture\ndef books():\n    ...\n"
    )

    said = adopt(before)

    assert said.endswith("  conftest.py:5: client\n\n")
    assert "books" not in said


@pytest.mark.parametrize(
    ("path", "old", "new", "said"),
    [
        (
            PROJECT,
            "asyncpg",
            "aiomysql",
            "The harness needs SQLAlchemy on PostgreSQL, with asyncpg, psycopg or psycopg2; the dependencies have "
            "MySQL.\n",
        ),
        (PROJECT, "asyncpg", "aiosqlite", "the dependencies have SQLite.\n"),
        (PROJECT, '"asyncpg>=0.29"', '"Django>=5"', "the dependencies have Django.\n"),
        (PROJECT, '"asyncpg>=0.29"', '"sqlparse"', "the dependencies have neither.\n"),
        (MAIN, "FastAPI(title", "Starlette(title", "No application was found: no function returns a FastAPI"),
    ],
)
def test_what_does_not_fit_is_said(before: Changed, path: str, old: str, new: str, said: str) -> None:
    edit(before, path, old, new)

    output = adopt(before)

    assert said in output


def test_it_is_run_in_the_project_s_folder(before: Changed, tmp_path: Path) -> None:
    for name in (PROJECT, "alembic.ini"):
        (before.folder / name).unlink()

    assert adopt(before).startswith("Run this in the folder of pyproject.toml; if there is none, in that of the req")
    assert adopt(before, "--wirte") == "usage: python -m tests.harness.adopt [--write [--check]]\n"


def test_it_is_typed_and_formatted(service: Changed, shared: Path) -> None:
    config: list[str | Path] = ["--config-file", ROOT / "pyproject.toml", "--cache-dir", shared / "mypy-adopt"]
    adopting = service.folder / "tests/harness/adopt"

    service.check(sys.executable, "-m", "mypy", *config, "--package", "tests.harness.adopt")
    ruff = Path(sys.executable).with_name("ruff")
    service.check(ruff, "format", "--check", "--config", ROOT / "pyproject.toml", adopting)
    service.check(ruff, "check", "--config", ROOT / "pyproject.toml", adopting)
