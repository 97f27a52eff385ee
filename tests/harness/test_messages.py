"""What a failing test prints: the project's frames, once, and what many failures have in common."""

import re
from pathlib import Path

import pytest

from tests.harness.sample import Outcome, Sample

DRIFT = """
import pytest
from httpx import AsyncClient
@pytest.mark.parametrize("number", range(10))
async def test_sign_up(client: AsyncClient, number: int) -> None:
    await client.post("/users", json={"email": "ada@example.com"})
"""


def rename_a_column(sample: Sample) -> None:
    models = sample.folder / "src" / "sample" / "models.py"
    models.write_text(
        models.read_text().replace("    email: Mapped", "    mail: Mapped[str | None]\n    email: Mapped")
    )


def failed(outcome: Outcome) -> set[str]:
    """The names of the tests that failed, by pytest's summary."""
    assert " passed" in outcome.output, outcome.output
    return set(re.findall(r"^FAILED \S+::(\w+)", outcome.output, re.M))


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_column_without_a_migration(sample: Sample, workers: str) -> None:
    sample.write("tests/test_a.py", DRIFT)
    rename_a_column(sample)

    outcome = sample.pytest("-n", workers)

    assert "10 failed" in outcome.output, outcome.output
    assert outcome.output.count("10 failed because the database has no such column or table") == 1
    # Below pytest's list of what failed, where it is seen.
    assert "FAILED" not in outcome.output.partition("10 failed because")[2]
    # Each failure shows the test and the route, and no frame of a library.
    assert outcome.output.count("src/sample/users.py:") == 10
    assert "site-packages" not in outcome.output
    assert "direct cause" not in outcome.output
    errors = [line for line in outcome.output.splitlines() if line.startswith("E  ")]
    assert sum('column "mail" of relation "users" does not exist' in line for line in errors) == 10


def test_a_test_that_is_skipped_after_one_that_fails(sample: Sample) -> None:
    tests = (
        "import pytest\ndef test_fails():\n    assert False\n@pytest.mark.skip(reason='later')\ndef test_skips(): ...\n"
    )
    sample.write("tests/test_a.py", tests)

    outcome = sample.pytest("-p", "no:randomly")

    assert "1 failed, 1 skipped" in outcome.output, outcome.output
    assert "site-packages" not in outcome.output


def test_the_check_prints_the_lines_of_the_migration(sample: Sample) -> None:
    rename_a_column(sample)

    outcome = sample.checks()

    assert failed(outcome) == {"test_models_match_migrations"}
    assert "The models differ from the migrated database. Missing operations:" in outcome.output
    assert "op.add_column('users', sa.Column('mail', sa.String(), nullable=True))" in outcome.output
    assert "Traceback" not in outcome.output


def test_a_downgrade_that_leaves_something_behind(sample: Sample) -> None:
    revision = min((sample.folder / "migrations" / "versions").glob("*.py"))
    revision.write_text(revision.read_text().replace('op.drop_table("users")', 'op.execute("SELECT 1")'))

    outcome = sample.checks()

    assert failed(outcome) == {"test_up_down_consistency"}
    assert "The downgrade of 0001 leaves objects behind (+)" in outcome.output
    assert "+ relation public.users: table" in outcome.output


def test_a_downgrade_that_does_not_run(sample: Sample) -> None:
    revision = min((sample.folder / "migrations" / "versions").glob("*.py"))
    revision.write_text(revision.read_text().replace('op.drop_table("users")', 'op.drop_table("user")'))

    outcome = sample.checks()

    assert failed(outcome) == {"test_up_down_consistency"}
    [error] = re.findall(r"^A downgrade fails: .*$", outcome.output, re.M)
    assert f"migrations/versions/{revision.name}:" in error
    assert 'table "user" does not exist' in outcome.output
    assert len(outcome.output.splitlines()) < 30


FORGOTTEN = """
from httpx import AsyncClient
async def test_health(client: AsyncClient) -> None:
    client.get("/health")
"""


def test_a_coroutine_that_nobody_awaited(sample: Sample) -> None:
    sample.write("tests/test_a.py", FORGOTTEN)

    outcome = sample.pytest()

    assert "1 failed" in outcome.output, outcome.output
    assert "coroutine 'AsyncClient.get' was never awaited" in outcome.output


def test_two_heads(sample: Sample) -> None:
    folder = sample.folder / "migrations" / "versions"
    for name in ("first", "second"):
        lines = [f'revision = "{name}"', 'down_revision = "0001"', "def upgrade(): ...", "def downgrade(): ..."]
        (folder / f"{name}.py").write_text("\n".join(lines))

    outcome = sample.checks()

    assert outcome.code != 0
    assert "2 heads: first, second." in outcome.error
    assert "uv run alembic merge heads" in outcome.output


def test_a_library_is_shown_where_it_is_asked_for(sample: Sample) -> None:
    sample.write("tests/test_a.py", DRIFT)
    rename_a_column(sample)

    outcome = sample.pytest("--full-trace", "-k", "0")

    assert "site-packages/sqlalchemy" in outcome.output


LIBRARY = """
def call() -> None:
    try:
        raise LookupError("nobody is there")
    except LookupError as error:
        raise RuntimeError("no answer") from error
"""


def test_of_a_cause_in_a_library_only_the_words_are_shown(sample: Sample, tmp_path: Path) -> None:
    (tmp_path / "library.py").write_text(LIBRARY)
    sample.write("tests/test_a.py", "import library\n\ndef test_a() -> None:\n    library.call()\n")

    outcome = sample.pytest(PYTHONPATH=f"{sample.env['PYTHONPATH']}:{tmp_path}")

    assert "\nLookupError: nobody is there\n" in outcome.output
    assert "E       RuntimeError: no answer" in outcome.output
    assert ">       library.call()" in outcome.output
    assert "library.py" not in outcome.output


INTERACT = """

def pytest_exception_interact(node, call, report):
    files = [str(entry.path) for entry in call.excinfo.traceback]
    assert any("site-packages/httpx" in file for file in files), files
    assert any("site-packages/sqlalchemy" in file for file in files), files
    error = call.excinfo.value
    while error.__cause__ is not None:
        error = error.__cause__
    print("the driver's own:", type(error).__module__)

def pytest_sessionfinish():
    import sys
    print("marked:", sum("__tracebackhide__" in vars(module) for module in list(sys.modules.values())))
"""


def test_a_debugger_has_all_frames_and_no_library_is_marked(sample: Sample) -> None:
    sample.write("tests/test_a.py", DRIFT)
    conftest = (sample.folder / "tests" / "conftest.py").read_text()
    sample.write("tests/conftest.py", conftest + INTERACT)
    rename_a_column(sample)

    outcome = sample.pytest("-s", "-k", "0")

    assert "1 failed" in outcome.output, outcome.output
    assert "the driver's own: asyncpg.exceptions" in outcome.output
    assert "marked: 0" in outcome.output


def test_a_cause_without_words_is_shown(sample: Sample, tmp_path: Path) -> None:
    (tmp_path / "library.py").write_text(LIBRARY.replace('"nobody is there"', ""))
    sample.write("tests/test_a.py", "import library\n\ndef test_a() -> None:\n    library.call()\n")

    outcome = sample.pytest(PYTHONPATH=f"{sample.env['PYTHONPATH']}:{tmp_path}")

    assert "\nLookupError\n" in outcome.output
    assert "E       RuntimeError: no answer" in outcome.output
