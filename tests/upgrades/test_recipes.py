"""Another answer, later: what tests/README.md of a rendered project says to do, done word for word."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.postgres import local
from harness.postgres.run_folder import RunFolder
from harness.postgres.server import Server

from tests.environment import UV, synced
from tests.pages import shell_blocks
from tests.quick_renders import COPIER
from tests.rendering import ROOT
from tests.upgrades.conftest import Rendered
from tests.upgrades.history import History, needs_trust
from tests.upgrades.lived_in import Owned, live_in

pytestmark = pytest.mark.xdist_group("recipes")

WORKFLOWS = [f".github/workflows/{name}.yml" for name in ("nightly", "tests", "update")]
OWNER = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "The Owner"), ("EMAIL", "owner@example.com"))
}


@pytest.fixture(scope="module")
def development_server() -> Iterator[Server]:
    """A server such as a developer has."""
    folder = RunFolder.make()
    yield local.start(folder, 18)
    folder.close()


EMPTY = """\
mkdir -p migrations/rows
echo "TRUNCATE users, payments;" > "migrations/rows/$(uv run alembic heads | cut -d ' ' -f 1).sql"
git add --all && git commit -m "No payments in production"
"""


class Shell:
    """Types commands into a project, as its owner would; Copier is the version that is tested here."""

    def __init__(self, owned: Owned, environment: Path, python: Path, server: Server, database: str) -> None:
        self.owned = owned
        self.project = synced(owned.folder, environment, python)
        with server.connect() as connection:
            connection.execute(f"CREATE DATABASE {database}".encode())
        url = f"postgresql://postgres@/{database}?host={server.host}"
        path = f"{Path(UV).parent}:{self.project.env['PATH']}"
        self.env = {**self.project.env, **OWNER, "PATH": path, "DATABASE_URL": url}
        owned.commit("The first commit, with uv.lock")

    def __call__(self, *blocks: str) -> str:
        script = "".join(blocks).replace("uvx copier", shlex.join(COPIER))
        done = subprocess.run(
            ["bash", "-eu", "-c", script],
            cwd=self.owned.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.mark.parametrize("then", [False, True], ids=["off", "on"])
@pytest.mark.parametrize("answer", ["auth", "payments"])
def test_a_feature_is_turned(
    history: History,
    rendered: Rendered,
    answer: str,
    then: bool,
    development_server: Server,
    environment: Path,
    default_python: Path,
    tmp_path: Path,
) -> None:
    owned = rendered(history.next, **{answer: not then}).copy(tmp_path / "project")
    shell = Shell(owned, environment, default_python, development_server, f"{answer}_{then}".lower())
    blocks = shell_blocks(owned.read("tests/README.md"), "### Turn `auth` or `payments` on or off")
    says, code, migration, rest, tests = blocks
    says = says.replace("ANSWER=payments", f"ANSWER={answer}")

    if then and answer == "auth":
        # Columns of both are NOT NULL, and nobody has signed up or paid yet.
        migration += EMPTY
    # As in a project whose owner has written a migration by `revision`.
    shell("uv run alembic heads | cut -d ' ' -f 1 > migrations/head; git add --all; git commit -m head")
    output = shell(says, rest, code, migration, tests) if then else shell(says, code, migration, rest, tests)

    assert len(re.findall(r"^=+ \d+ passed(?:, 1 skipped)? in ", output, re.M)) == 1, output
    assert owned.changed() == []
    # But for the migrations, and for what Copier calls it, the project is one that was rendered so.
    fresh = rendered(history.next, **{answer: then})
    ours, theirs = (
        {
            path: content
            for path, content in project.contents().items()
            if not path.startswith(("migrations/versions/", "migrations/rows/", "migrations/head"))
        }
        for project in (owned, fresh)
    )
    assert ours.pop("uv.lock")
    assert ours == theirs
    shell.project.check(UV, "run", "ruff", "check")
    shell.project.check(UV, "run", "ruff", "format", "--check")


@pytest.mark.parametrize(
    ("answer", "value", "changed"),
    [
        ("coverage_threshold", "90", ["pyproject.toml", "tests/README.md"]),
        ("python_version", "3.12", [*WORKFLOWS, "pyproject.toml"]),
        (
            "postgres_version",
            "17",
            [*WORKFLOWS, "compose.yaml", "pyproject.toml", "tests/README.md"],
        ),
    ],
)
def test_another_answer(
    history: History, rendered: Rendered, project: Owned, answer: str, value: str, changed: list[str]
) -> None:
    [command] = shell_blocks(project.read("tests/README.md"), "### Another answer")
    command = command.replace("coverage_threshold=90", f"{answer}={value}").replace("uvx copier", shlex.join(COPIER))

    subprocess.run(["bash", "-e", "-c", command], cwd=project.folder, check=True, stdin=subprocess.DEVNULL)

    assert project.changed() == [".copier-answers.yml", *changed]
    fresh = rendered(history.next, **{answer: value})
    assert project.contents("template", "shared") == fresh.contents("template", "shared")


def test_readme_s_upgrade_in_a_project_that_is_lived_in(
    history: History,
    rendered: Rendered,
    development_server: Server,
    environment: Path,
    default_python: Path,
    tmp_path: Path,
) -> None:
    """What README.md of this repository says, from the first release on; --trust is added where it says so."""
    first = history.releases[0]
    owned = rendered(first.tag).copy(tmp_path / "project")
    live_in(owned)
    shell = Shell(owned, environment, default_python, development_server, "upgraded")
    [script] = shell_blocks((ROOT / "README.md").read_text(), "## Upgrade")
    if needs_trust(first, history):
        script = script.replace("--skip-answered", "--skip-answered --defaults --trust")

    output = shell(script)

    assert f"Changes since {first.version}:" in output
    assert re.search(r"^=+ \d+ passed(?:, 1 skipped)? in ", output, re.M), output
    assert f"_commit: {history.next}" in owned.read(".copier-answers.yml")
    assert owned.changed() == []
