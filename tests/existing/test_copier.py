"""What Copier does in the folder of a service that exists."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.environment import UV, Project, synced
from tests.existing.conftest import SERVICES, Add
from tests.pages import shell_blocks
from tests.quick_renders import COPIER
from tests.rendering import ROOT, Render, files, git
from tests.upgrades.history import History
from tests.upgrades.lived_in import Owned

ANSWERS = ".copier-answers.savepoint.yml"

pytestmark = pytest.mark.xdist_group("existing")


@pytest.fixture
def owned(tmp_path: Path) -> Owned:
    """The service before it has the harness, in a repository."""
    folder = Path(shutil.copytree(SERVICES / "flat", tmp_path / "flat"))
    (folder / "conftest.py").unlink()
    git(folder, "init", "--quiet", "--initial-branch=main")
    owned = Owned(folder)
    owned.commit("The service")
    return owned


def test_nothing_of_the_service_is_changed(owned: Owned, add: Add, render: Render) -> None:
    before = owned.contents()

    add(owned.folder)

    harness = {path for path in files(render(payments=False)) if path.startswith("tests/harness/")}
    added = {path for path in owned.changed() if not path.startswith("tests/harness/adopt/")}
    assert added == {ANSWERS, "tests/harness-requirements.txt", "tests/harness.md", *harness}
    assert {path: owned.contents()[path] for path in before} == before


def test_the_page_is_of_this_service(owned: Owned, add: Add) -> None:
    add(owned.folder, tests_folder="app/tests")

    page = owned.read("app/tests/harness.md")
    assert "uv run pytest app/tests/harness/checks" in page
    assert "uvx copier update --skip-answered -a .copier-answers.savepoint.yml" in page
    for of_a_new_service in ("user_client", "factories.py", ".github", "nightly", "compose"):
        assert of_a_new_service not in page
    anchors = {
        line.lstrip("# ").lower().replace(" ", "-").replace(",", "") for line in page.splitlines() if line[:1] == "#"
    }
    assert set(re.findall(r"\]\(#([\w-]+)\)", page)) <= anchors


def test_the_answers_of_another_template_are_kept(owned: Owned, add: Add) -> None:
    owned.write(".copier-answers.yml", "_src_path: gh:somebody/else\nservice: api\npostgres_version: sixteen\n")
    owned.commit("Another template")

    add(owned.folder)

    assert owned.read(".copier-answers.yml").startswith("_src_path: gh:somebody/else\n")
    assert "postgres_version: 18\n" in owned.read(ANSWERS)


def test_the_folder_of_the_tests(owned: Owned, add: Add) -> None:
    add(owned.folder, tests_folder="app/tests")

    assert (owned.folder / "app/tests/__init__.py").read_text() == ""
    assert (owned.folder / "app/tests/harness/plugin.py").is_file()
    assert "app/tests/harness-requirements.txt" in (owned.folder / "app/tests/harness-requirements.txt").read_text()
    assert not (owned.folder / "tests/harness").exists()


@pytest.mark.parametrize("folder", ["/tests", "../tests", "tests/", "my tests", "tests-2", "{{ x }}", ""])
def test_a_folder_that_is_no_package_is_refused(owned: Owned, add: Add, folder: str) -> None:
    with pytest.raises(ValueError, match="must be a relative path of Python packages, such as tests or app/tests"):
        add(owned.folder, tests_folder=folder)

    assert owned.changed() == []


def test_an_update_keeps_an_edit_and_brings_the_rest(owned: Owned, history: History, tmp_path: Path) -> None:
    later = history.evolve(tmp_path / "later", {"tests/harness/new.py": '"""A new module."""\n'})
    data = ["-d", "service=existing", "-d", "tests_folder=app/tests", "--vcs-ref", history.next]
    subprocess.run(
        [*COPIER, "copy", "--defaults", "--quiet", *data, str(later.folder), "."], cwd=owned.folder, check=True
    )
    (owned.folder / "app/tests/__init__.py").write_text("# the owner's line\n")
    owned.edit("app/tests/harness/app/client.py", lambda text: text + "# the owner's line\n")
    owned.commit("The harness")

    owned.update("v99.0.0", answers_file=ANSWERS)

    assert owned.changed() == [ANSWERS, "app/tests/harness/new.py"]
    answers = owned.read(ANSWERS)
    assert "service: existing\ntests_folder: app/tests\n" in answers


# As `alembic init` writes it.
SYNCHRONOUS_ENV = """
from logging.config import fileConfig

from alembic import context
from sqlalchemy import engine_from_config, pool

from app.models import Base

config = context.config
fileConfig(config.config_file_name)
section = config.get_section(config.config_ini_section, {})
engine = engine_from_config(section, prefix="sqlalchemy.", poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
"""


def as_it_is(owned: Owned) -> None:
    """`services/flat`."""


def with_psycopg_and_tests_beside_the_code(owned: Owned) -> None:
    """psycopg in the service and in env.py, where it is synchronous; asyncpg is not installed."""
    for path in ("app/db.py", "alembic.ini"):
        owned.replace(path, "postgresql+asyncpg", "postgresql+psycopg")
    owned.replace("pyproject.toml", '"asyncpg>=0.29"', '"psycopg[binary]>=3.2"')
    owned.replace("pyproject.toml", 'testpaths = ["tests"]', 'testpaths = ["app"]')
    owned.write("alembic/env.py", SYNCHRONOUS_ENV)
    (owned.folder / "tests").rename(owned.folder / "app/tests")
    owned.commit("Another shape")


@pytest.mark.parametrize(
    ("shape", "tests_folder"), [(as_it_is, "tests"), (with_psycopg_and_tests_beside_the_code, "app/tests")]
)
def test_the_readme_word_for_word(
    owned: Owned,
    template: Path,
    default_python: Path,
    tmp_path: Path,
    shape: Callable[[Owned], None],
    tests_folder: str,
) -> None:
    """In an environment with what the service declares, and what README.md says to add; nothing else."""
    shape(owned)
    page = (ROOT / "README.md").read_text()
    script = "\n".join(shell_blocks(page, "## A service that exists"))
    script = script.replace("tests/harness", f"{tests_folder}/harness")
    script = script.replace("tests.harness", f"{tests_folder.replace('/', '.')}.harness")
    data = f"-d tests_folder={tests_folder} --vcs-ref HEAD"
    script = script.replace("uvx copier", shlex.join(COPIER)).replace(
        "https://github.com/<owner>/savepoint", f"{data} {template}"
    )
    [shown] = re.findall(r"```toml\n(.*?)```", page.partition("## A service that exists")[2], re.S)
    # What no file of the service says.
    unknown = 'base_url = "http://library.test"\nsql_before_migrations = ["CREATE SCHEMA audit"]\n'
    head, _, _ = owned.read("pyproject.toml").partition("[tool.savepoint]")
    owned.write("pyproject.toml", f"{head}[tool.savepoint]\n{unknown}")
    owned.commit("Two settings, written by hand")
    project = synced(owned.folder, tmp_path / "environment", default_python)
    path = f"{Path(UV).parent}:{project.env['PATH']}"

    output = Project(owned.folder, {**project.env, "PATH": path}).check("bash", "-eu", "-c", script)

    ended = re.findall(r"^=+ (\d+ passed, \d+ skipped)", output, re.M)
    assert ended == ["13 passed, 1 skipped", "17 passed, 1 skipped"], output
    found = shown.removeprefix("[tool.savepoint]\n")
    assert f"\n{unknown}{found}" in owned.read("pyproject.toml")
    assert (owned.folder / "conftest.py").read_text().count("\n") == 1
    # Ten of them are the dependency group, which this service did not have.
    added, removed, file = owned.git("diff", "--numstat").split()
    assert (int(added), removed, file) == (13, "0", "pyproject.toml")
