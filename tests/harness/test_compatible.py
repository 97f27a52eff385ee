"""`python -m tests.harness compatible`: the tests of the deployed release, on the schema of this branch."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.sample import Sample
from tests.preloaded import run_module
from tests.rendering import git

TESTS = """
from httpx import AsyncClient

async def test_sign_up(client: AsyncClient) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201

async def test_read(client: AsyncClient) -> None:
    user = (await client.post("/users", json={"email": "ada@example.com"})).json()
    assert (await client.get(f"/users/{user['id']}")).status_code == 200

async def test_health(client: AsyncClient) -> None:
    assert (await client.get("/health")).status_code == 200
"""
REVISION = '''\
"""Country"""

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels = None
depends_on = None
{stated}

def upgrade() -> None:
    op.add_column("users", sa.Column("country", sa.String(2), {options}))


def downgrade() -> None:
    op.drop_column("users", "country")
'''
Add = Callable[..., None]


@pytest.fixture
def deployed(sample: Sample) -> Sample:
    """The sample with tests, committed on main, and a branch `feature` that is checked out."""
    sample.write("tests/test_a.py", TESTS)
    git(sample.folder, "init", "--quiet", "-b", "main")
    git(sample.folder, "add", "-A")
    git(sample.folder, "commit", "--quiet", "-m", "Deployed")
    git(sample.folder, "switch", "--quiet", "-c", "feature")
    return sample


@pytest.fixture
def add(deployed: Sample) -> Add:
    """Adds a revision that is not committed yet, and breaks a test of this branch."""

    def add(options: str, stated: str = "") -> None:
        path = Path("migrations", "versions", "0002_country.py")
        deployed.write(str(path), REVISION.format(options=options, stated=stated))
        deployed.write("tests/test_a.py", "def test_of_this_branch() -> None:\n    assert False\n")

    return add


def compatible(sample: Sample, *arguments: str, above: Path | None = None) -> tuple[int, str]:
    above = above or sample.folder.parent
    done = run_module(sample, "tests.harness", "compatible", *arguments, GIT_CEILING_DIRECTORIES=str(above))
    return done.returncode, done.stdout


@pytest.mark.parametrize("workers", [(), ("--", "-n", "2")])
def test_requests_of_the_deployed_release_that_fail(deployed: Sample, add: Add, workers: tuple[str, ...]) -> None:
    add("nullable=False")
    before = git(deployed.folder, "status", "--porcelain")

    code, output = compatible(deployed, *workers)

    assert code == 1, output
    assert "2 failed, 1 passed" in output
    assert "test_of_this_branch" not in output
    _, _, below = output.partition("requests that failed")
    [line] = [line for line in below.splitlines() if line.startswith("POST /users: ")]
    assert 'null value in column "country"' in line
    assert line.endswith("(2 tests)")
    assert "Deploy in\nsteps: first a release that works with both schemas." in output
    assert git(deployed.folder, "status", "--porcelain") == before


def test_a_new_revision_reads_a_new_file_of_the_folder_of_the_migrations(deployed: Sample, add: Add) -> None:
    """And the tests are in the release, although they are not in the repository's archives."""
    deployed.write(".gitattributes", "tests export-ignore\n")
    git(deployed.folder, "add", "-A")
    git(deployed.folder, "commit", "--quiet", "-m", "Not in archives")
    add("nullable=True")
    path = "migrations/versions/0002_country.py"
    read = '    op.execute(Path(__file__).with_suffix(".sql").read_text())\n'
    text = (deployed.folder / path).read_text().replace("\n\ndef downgrade", f"{read}\n\ndef downgrade")
    deployed.write(path, text.replace("import sqlalchemy", "from pathlib import Path\n\nimport sqlalchemy"))
    deployed.write("migrations/versions/0002_country.sql", "ALTER TABLE users ALTER country SET DEFAULT 'de'")

    code, output = compatible(deployed, "--since", "feature")

    assert code == 0, output
    assert "3 passed" in output


def test_a_revision_that_the_deployed_release_can_live_with(deployed: Sample, add: Add) -> None:
    add("nullable=True")

    code, output = compatible(deployed)

    assert code == 0, output
    assert "3 passed" in output
    assert output.startswith("The tests of main (")


def test_a_released_revision_in_a_file_of_another_name(deployed: Sample, add: Add) -> None:
    """The release's own file of it must not be there, too."""
    add("nullable=True")
    git(deployed.folder, "mv", "migrations/versions/0001_users.py", "migrations/versions/0001_accounts.py")

    code, output = compatible(deployed)

    assert code == 0, output
    assert "3 passed" in output


def test_a_revision_that_states_a_reason(deployed: Sample, add: Add) -> None:
    add("nullable=False", stated='incompatible = "nobody signs up at night"\n')

    assert compatible(deployed) == (
        0,
        "Not run: revision 0002 states incompatible = 'nobody signs up at night'.\n",
    )


def test_without_alembic(deployed: Sample) -> None:
    (deployed.folder / "alembic.ini").unlink()

    code, output = compatible(deployed)

    assert code == 1
    assert output == (
        "There is no alembic.ini, so there are no migrations that the deployed release could not live with.\n"
    )


def test_two_heads(deployed: Sample, add: Add) -> None:
    add("nullable=True")
    revision = REVISION.format(options="nullable=True", stated="").replace('"0002"', '"0003"')
    deployed.write("migrations/versions/0003_merged.py", revision)

    code, output = compatible(deployed)

    assert code == 1
    assert output.startswith("2 heads: 0002, 0003. Merged branches have each added a revision.\n"), output
    assert "fail on the schema" not in output


def test_a_branch_without_migrations(deployed: Sample) -> None:
    deployed.write("src/sample/more.py", "A = 1\n")

    assert compatible(deployed) == (
        0,
        "No migration is new since main: the deployed release has the schema that it knows.\n",
    )


def test_without_a_branch(sample: Sample) -> None:
    assert compatible(sample) == (
        1,
        "There is no branch to compare with. Name the commit of the deployed release: --since\n",
    )


def test_a_project_in_a_folder_of_the_repository(deployed: Sample, add: Add, tmp_path: Path) -> None:
    top = tmp_path / "monorepo"
    top.mkdir()
    (deployed.folder / ".git").rename(top / ".git")
    deployed.folder.rename(top / "backend")
    moved = Sample(top / "backend", {**deployed.env, "PYTHONPATH": str(top / "backend" / "src")})
    git(top, "add", "-A")
    git(top, "commit", "--quiet", "-m", "Move")
    moved.write("migrations/versions/0002_country.py", REVISION.format(options="nullable=False", stated=""))

    code, output = compatible(moved, "--since", "feature", above=tmp_path)

    assert code == 1, output
    assert "2 failed, 1 passed" in output
