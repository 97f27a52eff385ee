"""Each mistake fails the rendered project's tests.yml at the expected step."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.rendering import git
from tests.upgrades.lived_in import CONFLICT, Owned
from tests.workflows.conftest import WorkflowOf

pytestmark = pytest.mark.xdist_group("workflows")

MODELS = "src/my_service/models.py"


def append(path: str, text: str) -> Callable[[Owned], None]:
    return lambda owned: owned.edit(path, lambda content: content + text)


def replace(path: str, old: str, new: str) -> Callable[[Owned], None]:
    return lambda owned: owned.replace(path, old, new)


@dataclass(frozen=True)
class Mistake:
    """A change of the project, the job that fails, the beginning of the step that fails, and a part of its output."""

    name: str
    make: Callable[[Owned], None]
    job: str
    step: str
    says: str


MISTAKES = [
    Mistake(
        "the schema drifts",
        replace(MODELS, "String(16), server_default", "String(32), server_default"),
        "tests",
        "uv run pytest",
        "The models differ from the migrated database",
    ),
    Mistake(
        "the coverage falls",
        lambda owned: (owned.folder / "tests/test_users.py").unlink(),
        "coverage",
        "uv run coverage report",
        "is less than fail-under=100",
    ),
    Mistake(
        "a migration does not run",
        replace(
            "migrations/versions/0001_users.py", 'op.create_table(\n        "users"', 'op.drop_table(\n        "users"'
        ),
        "migrations",
        "uv run alembic upgrade head",
        "",
    ),
    Mistake(
        "a conflict marker is left",
        append("tests/README.md", CONFLICT),
        "lint",
        "! git grep",
        "tests/README.md:",
    ),
    Mistake(
        "a rejected hunk is left",
        lambda owned: owned.write("tests/README.md.rej", "@@ -1 +1 @@\n-old\n+new\n"),
        "lint",
        "! git ls-files '*.rej'",
        "tests/README.md.rej",
    ),
    Mistake(
        "uv.lock is stale",
        replace("pyproject.toml", '  "alembic', '  "idna>=3.10",\n  "alembic'),
        "lint",
        "uv sync",
        "The lockfile at `uv.lock` needs to be updated",
    ),
    Mistake(
        "uv.lock is not committed",
        lambda owned: (owned.folder / "uv.lock").unlink(),
        "lint",
        "uv sync",
        "Unable to find lockfile at `uv.lock`",
    ),
    Mistake("a file is not formatted", append(MODELS, "x  = 1\n"), "lint", "uv run ruff format --check", MODELS),
    Mistake(
        "a rule is broken",
        replace(MODELS, "from datetime", "import os\nfrom datetime"),
        "lint",
        "uv run ruff check",
        "title=ruff (F401)",
    ),
    Mistake("a type is wrong", append(MODELS, '\n\nNUMBER: int = "one"\n'), "lint", "uv run mypy", "[assignment]"),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_turns_it_red(owned: Owned, workflow_of: WorkflowOf, mistake: Mistake) -> None:
    mistake.make(owned)
    owned.commit(mistake.name)
    before = ["tests"] if mistake.job == "coverage" else []

    run = workflow_of(owned).run(*before, mistake.job, "required")

    [job] = run.jobs[mistake.job]
    assert job.failed is not None, job.log
    assert job.failed.startswith(mistake.step), job.log
    assert mistake.says in job.log
    assert run.results == {**dict.fromkeys(before, "success"), mistake.job: "failure", "required": "failure"}


def test_a_failing_test_turns_it_red_and_is_in_the_artifacts(owned: Owned, workflow_of: WorkflowOf) -> None:
    """In the summary of the run, and in the JUnit XML. Coverage is skipped then, which is red too."""
    append("tests/test_app.py", "\n\ndef test_of_markup() -> None:\n    assert '<b>' == '```'\n")(owned)
    owned.commit("A test that fails")

    run = workflow_of(owned).run("tests", "coverage", "required")

    [tests] = run.jobs["tests"]
    assert run.results == {"tests": "failure", "coverage": "skipped", "required": "failure"}
    assert tests.summary.startswith("### Tests: 1 failed, ")
    assert "<code>tests/test_app.py::test_of_markup</code>" in tests.summary
    assert "assert &#x27;&lt;b&gt;&#x27; == &#x27;```&#x27;" in tests.summary
    assert "test_of_markup" in (run.artifacts / "tests-1" / "junit-1.xml").read_text()


def test_a_skipped_job_is_red(owned: Owned, workflow_of: WorkflowOf) -> None:
    owned.replace(".github/workflows/tests.yml", "    needs: tests\n", "    needs: tests\n    if: false\n")
    owned.commit("Turned off")

    assert workflow_of(owned).run("coverage", "required").results == {"coverage": "skipped", "required": "failure"}


REVISION = """\
from alembic import op

revision = "{}"
down_revision = "{}"


def upgrade() -> None:
    op.execute("{}")


def downgrade() -> None:
    pass
"""


@pytest.mark.parametrize("event", ["pull_request", "push"])
def test_every_revision_of_a_pull_request_is_new(owned: Owned, workflow_of: WorkflowOf, event: str) -> None:
    """After the merge, only the newest is."""
    git(owned.folder, "switch", "--quiet", "--create", "branch")
    for name, before, statement in [("0003", "0002", "DROP INDEX IF EXISTS ix_of_old"), ("0004", "0003", "SELECT 1")]:
        (owned.folder / f"migrations/versions/{name}_new.py").write_text(REVISION.format(name, before, statement))
        owned.commit(f"Revision {name}")
    git(owned.folder, "switch", "--quiet", "main")
    git(owned.folder, "merge", "--quiet", "--no-ff", "--message=Merge", "branch")

    [job] = workflow_of(owned, event=event).run("migrations").jobs["migrations"]

    if event == "push":
        assert job.result == "success", job.log
    else:
        assert job.failed is not None, job.log
        assert job.failed.startswith("uv run pytest tests/harness/checks/test_new_revisions.py")
        assert "The upgrade of 0003 makes requests of the running release wait or fail" in job.log


def test_the_release_before_a_pull_request_must_run_on_its_schema(owned: Owned, workflow_of: WorkflowOf) -> None:
    git(owned.folder, "switch", "--quiet", "--create", "branch")
    statement = "ALTER TABLE users ADD CONSTRAINT nobody CHECK (false) NOT VALID"
    (owned.folder / "migrations/versions/0003_new.py").write_text(
        REVISION.format("0003", "0002", statement).replace(
            "    pass", '    op.execute("ALTER TABLE users DROP CONSTRAINT nobody")'
        )
    )
    owned.commit("Revision 0003")
    git(owned.folder, "switch", "--quiet", "main")
    git(owned.folder, "merge", "--quiet", "--no-ff", "--message=Merge", "branch")

    [job] = workflow_of(owned, event="pull_request").run("migrations").jobs["migrations"]

    assert job.failed is not None, job.log
    assert job.failed.startswith("uv run python -m tests.harness compatible"), job.log
    assert "requests that failed" in job.log
    assert 'violates check constraint "nobody"' in job.log
