"""The end of the first run in a service that exists: what was found, by severity, on one page."""

from html import unescape
from pathlib import Path

import pytest

from tests.environment import Project
from tests.existing.findings import ENTRIES, PLANTED
from tests.mistakes.catalogue import Edit
from tests.mistakes.project import Changed

pytestmark = pytest.mark.xdist_group("existing")

CHECKS = "tests/harness/checks"

REPORT = """\
11 findings in 9 checks. 4 checks found nothing.
DATA CAN BE LOST OR EXPOSED
  (1) Modules with tables that env.py does not import: autogenerate drops the tables.
      app/fines.py
    Remedy: Import them in env.py, or in a module that it imports. [test_env_imports_every_model]
  (1) A new migration fails on rows, or deletes data, which the running release may still read.
      alembic/versions/0002_loans.py: DELETE FROM books WHERE title = ''
    Remedy: First deploy a release without it; then add to the revision: destructive = "the reason".
    [test_new_migrations_keep_data]
PRODUCTION CAN FAIL
  (1) Timestamps without a time zone are ambiguous, and comparing them with aware ones raises.
      loans.lent_at
    Remedy: DateTime(timezone=True), and a migration. [test_datetimes_are_timezone_aware]
  (1) Foreign keys without an index: deleting a referenced row, or a join, reads the whole table.
      loans (book_id): loans_book
    Remedy: index=True on the column, and op.create_index in a migration.
    [test_foreign_keys_are_indexed]
  (1) Lists without a maximum length: with production data, a response can exhaust the memory.
      GET /titles
    Remedy: limit: Annotated[int, Query(ge=1, le=100)] = 50, and .limit(limit) in the query.
    [test_list_endpoints_are_paginated]
  (2) Malformed requests that get a 5xx response: anybody can cause errors, and alerts.
      POST /books with title = '\\x00': DBAPIError (app/main.py:37, in add)
      GET /titles with after = '\\x00': DBAPIError (app/main.py:50, in titles)
    Remedy: Bounds, lengths and patterns in the request model. [test_malformed_requests_get_no_5xx]
  (1) A new migration locks or breaks what the running release uses: its requests wait or fail.
      alembic/versions/0002_loans.py: CREATE INDEX books_pages ON books (pages) WHERE pages > 10
    Remedy: The failure names safe statements. Or add to the revision: takes_locks = "the reason".
    [test_new_migrations_are_lock_safe]
THE SCHEMA DRIFTS
  (2) The models differ from the migrations: queries fail, or autogenerate drops what no model has.
      only in migrations: column public.books.pages
      only in migrations: index public.books_pages
    Remedy: A migration with the missing operations; or change the model.
    [test_models_match_migrations]
  (1) Downgrades that do not undo the upgrade: a release cannot be rolled back.
      alembic/versions/0002_loans.py: leaves type public.loan_state
    Remedy: Mend downgrade(). Or add to the revision: irreversible = "the reason".
    [test_up_down_consistency]
To let these be for now, so that only new findings fail:
  uv run pytest tests/harness/checks --savepoint-baseline=write
"""

MANY = """
import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
takes_locks = destructive = "a test"


def upgrade() -> None:
    for number in range(46):
        op.execute(f"CREATE TABLE t{number} (book_id int CONSTRAINT fk{number:02} REFERENCES books)")


def downgrade() -> None:
    for number in range(46):
        op.execute(f"DROP TABLE t{number}")
"""


@pytest.fixture
def planted(flat: Project, tmp_path: Path) -> Changed:
    """The service with what its own tests do not find."""
    return Changed.of(flat, tmp_path / "planted", PLANTED)


def report(output: str) -> str:
    """The lines of the report."""
    _, title, rest = output.partition(" what the checks found =")
    lines = rest.splitlines()[1:] if title else []
    end = next((index for index, line in enumerate(lines) if line.startswith(("=", "baseline:"))), len(lines))
    return "".join(f"{line}\n" for line in lines[:end])


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_first_run_ends_with_it(planted: Changed, workers: str) -> None:
    outcome = planted.pytest(CHECKS, "-n", workers)

    assert report(outcome.output).splitlines() == REPORT.splitlines()
    assert len(REPORT.splitlines()) <= 42
    assert max(map(len, REPORT.splitlines())) <= 100


def test_the_page_of_the_job_has_it(planted: Changed) -> None:
    page = planted.folder / "page.md"

    planted.pytest(CHECKS, GITHUB_STEP_SUMMARY=str(page))

    [shown] = [line for line in page.read_text().splitlines() if line.startswith("<pre>")]
    assert unescape(shown.removeprefix("<pre>").removesuffix("</pre>")) == REPORT.rstrip("\n")


def test_a_long_list_is_cut(planted: Changed) -> None:
    (planted.folder / "alembic/versions/0003_many.py").write_text(MANY)

    outcome = planted.pytest(f"{CHECKS}/test_models.py")

    assert "  (47) Foreign keys without an index: " in report(outcome.output)
    assert "      t14 (book_id): fk14\n      … and 39 more\n" in report(outcome.output)


def test_a_run_that_finds_nothing_has_none(service: Changed) -> None:
    assert "what the checks found" not in service.pytest(CHECKS).output
    assert report(service.pytest(CHECKS, "--savepoint-report").output) == (
        "0 findings in 0 checks. 13 checks found nothing.\n"
    )


def test_each_malformed_field_is_reported_and_one_of_a_route_is_shown(planted: Changed) -> None:
    Edit("app/main.py", "class NewBook(BaseModel):\n", 'class NewBook(BaseModel):\n    shelf: str = ""\n').make(
        planted.folder
    )
    shelf = "    await db.scalars(select(Book).where(Book.title == body.shelf))\n"
    Edit("app/main.py", "    book = Book(title=body.title)\n", f"{shelf}    book = Book(title=body.title)\n").make(
        planted.folder
    )

    outcome = planted.pytest(f"{CHECKS}/test_requests.py")

    assert "  (3) Malformed requests that get a 5xx response: " in report(outcome.output)
    for field in ("POST /books with shelf", "POST /books with title", "GET /titles with after"):
        assert f"      {field} = " in report(outcome.output)
    [said] = outcome.failed.values()
    assert said.count("POST /books with ") == 1


def test_a_check_that_runs_again_is_reported_once(planted: Changed) -> None:
    check = f"{CHECKS}/test_columns.py"

    outcome = planted.pytest("--keep-duplicates", check, check)

    assert "2 failed" in outcome.output
    assert report(outcome.output).startswith("1 finding in 1 check. 0 checks found nothing.\n"), outcome.output


def test_a_run_that_writes_the_baseline_does_not_advise_to(planted: Changed) -> None:
    outcome = planted.pytest(f"{CHECKS}/test_columns.py", "--savepoint-report", "--savepoint-baseline=write")

    assert report(outcome.output).startswith("1 finding in 1 check. ")
    assert "To let these be" not in outcome.output


@pytest.mark.parametrize("option", ["--savepoint-baseline=write", "--savepoint-baseline=check"])
def test_with_a_baseline_there_is_none(planted: Changed, option: str) -> None:
    (planted.folder / "tests/savepoint-baseline.toml").write_text(ENTRIES)

    assert "what the checks found" not in planted.pytest(CHECKS, option).output


def test_with_a_baseline_it_can_be_asked_for(planted: Changed) -> None:
    (planted.folder / "tests/savepoint-baseline.toml").write_text(ENTRIES)

    outcome = planted.pytest(CHECKS, "--savepoint-report")

    assert report(outcome.output).startswith(
        "12 findings in 9 checks, 12 of them in the baseline. 4 checks found nothing.\n"
    )
    assert "To let these be" not in outcome.output


def test_what_could_not_be_checked_is_said(planted: Changed) -> None:
    # The variable is what this check sets.
    broken = """import os\nassert "nowhere" not in os.environ.get("DATABASE_URL", ""), "it does not connect"\n"""
    Edit("alembic/env.py", "asyncio.run(connect())", f"{broken}asyncio.run(connect())").make(planted.folder)

    outcome = planted.pytest(f"{CHECKS}/test_columns.py", f"{CHECKS}/test_migrations.py", "-k", "datetimes or alembic")

    assert "  not checked: The alembic command does not connect" in report(outcome.output), outcome.output
    assert "      it does not connect\n    See [test_alembic_cli_connects]\n" in report(outcome.output)
