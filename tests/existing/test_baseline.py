"""The baseline: what a service has today is written and let be; what is new fails, and what is mended is named."""

from pathlib import Path

import pytest

from tests.environment import Project
from tests.existing.findings import ENTRIES, PLANTED
from tests.mistakes.catalogue import Edit
from tests.mistakes.project import Changed, Outcome

pytestmark = pytest.mark.xdist_group("existing")

CHECKS = "tests/harness/checks"
WRITE = "--savepoint-baseline=write"
FILE = "tests/savepoint-baseline.toml"

WRITTEN = f"baseline: 12 findings in 9 checks, 1 of guards in 1 test, written to {FILE} (13 new, 0 removed)"
KNOWN = "baseline: 12 known findings in 9 checks, 1 of guards in 1 test"

LIST = """

@app.get("/shelves")
async def shelves() -> list[str]:
    return ["A", "B"]
"""


@pytest.fixture
def planted(flat: Project, tmp_path: Path) -> Changed:
    """The service with what its own tests do not find."""
    return Changed.of(flat, tmp_path / "planted", PLANTED)


@pytest.fixture
def known(planted: Changed) -> Changed:
    """The same with the baseline of today."""
    (planted.folder / FILE).write_text(ENTRIES)
    return planted


def entries(service: Changed) -> str:
    """The file without its comment."""
    text = (service.folder / FILE).read_text()
    return text[text.index("\n[checks]") :]


def lines(outcome: Outcome) -> list[str]:
    return outcome.output.splitlines()


def test_the_findings_fail_without_a_baseline(planted: Changed) -> None:
    outcome = planted.pytest()

    assert {node.rpartition("::")[2] for node in outcome.failed} == {
        line.partition(" = ")[0] for line in ENTRIES.splitlines() if line.startswith("test_")
    } | {"test_the_shelf_is_read"}
    assert not (planted.folder / FILE).exists()


@pytest.mark.parametrize("options", [("-p", "no:randomly"), ("-p", "randomly", "-p", "xdist", "-n", "2")], ids=str)
def test_they_are_written_and_then_let_be(planted: Changed, options: tuple[str, ...]) -> None:
    written = planted.pytest(WRITE, *options)

    assert written.code == 0, written.output
    assert WRITTEN in lines(written)
    assert entries(planted) == ENTRIES
    text = (planted.folder / FILE).read_text()
    assert text.startswith("# Findings of Savepoint's checks and guards")
    assert "pytest --savepoint-baseline=write" in text

    let_be = planted.pytest(*options)

    assert let_be.code == 0, let_be.output
    assert KNOWN in lines(let_be)
    assert (planted.folder / FILE).read_text() == text


def test_a_new_finding_fails_alone(known: Changed) -> None:
    main = known.folder / "app/main.py"
    main.write_text(main.read_text() + LIST)

    outcome = known.pytest(CHECKS)

    [said] = outcome.failed.values()
    assert said.startswith("These endpoints return a list without a maximum length:\n  GET /shelves\n")
    assert "/titles" not in said
    assert 'unpaginated_routes = ["/shelves"]' in said


def test_a_new_finding_of_a_guard_fails(known: Changed) -> None:
    tests = known.folder / "tests/test_books.py"
    tests.write_text(tests.read_text() + '\n\ndef test_another() -> None:\n    os.environ["ROOM"] = "4"\n')

    outcome = known.pytest("tests/test_books.py")

    assert list(outcome.failed) == ["tests/test_books.py::test_another"]
    assert "baseline: 1 known finding of guards in 1 test" in lines(outcome)


def test_a_mended_finding_is_named(known: Changed) -> None:
    Edit("app/models.py", "DateTime())", "DateTime(timezone=True))").make(known.folder)
    Edit("alembic/versions/0002_loans.py", "sa.DateTime()", "sa.DateTime(timezone=True)").make(known.folder)

    outcome = known.pytest(CHECKS)

    [said] = outcome.failed.values()
    assert said == (
        f"{FILE}: these entries match nothing any more:\n"
        "  loans.lent_at\n"
        "Delete them there: [checks], test_datetimes_are_timezone_aware. Or run: uv run pytest "
        f"{CHECKS}/test_columns.py {WRITE}"
    )

    written = known.pytest(f"{CHECKS}/test_columns.py", WRITE)

    assert f"baseline: 11 findings in 8 checks, 1 of guards in 1 test, written to {FILE} (0 new, 1 removed)" in lines(
        written
    )
    assert known.pytest().code == 0


def test_a_guard_that_fires_no_more_is_named(known: Changed) -> None:
    Edit("tests/test_books.py", '    os.environ["SHELF"] = "4"\n', "    assert os.environ\n").make(known.folder)

    outcome = known.pytest("tests/test_books.py")

    assert outcome.code == 1
    assert "these entries match nothing any more:\n  leaked_environ\n" in outcome.output
    assert "Delete them there: [guards], tests/test_books.py::test_the_shelf_is_read. Or run:" in outcome.output


@pytest.mark.parametrize(
    "run",
    [
        ("tests/test_books.py::test_a_title_is_unique",),
        ("-k", "not shelf and not migration and not malformed"),
        (f"{CHECKS}/test_columns.py",),
    ],
    ids=str,
)
def test_what_does_not_run_keeps_its_entries(known: Changed, run: tuple[str, ...]) -> None:
    let_be = known.pytest(*run)
    written = known.pytest(*run, WRITE)

    assert (let_be.code, written.code) == (0, 0), let_be.output + written.output
    assert entries(known) == ENTRIES


def test_an_older_revision_keeps_its_entries(known: Changed) -> None:
    revision = (known.folder / "alembic/versions/0002_loans.py").read_text()
    head = revision.partition("\n\ndef upgrade")[0].replace('"0002"', '"0003"').replace('"0001"', '"0002"')
    empty = "\n\ndef upgrade() -> None: ...\n\n\ndef downgrade() -> None: ...\n"
    (known.folder / "alembic/versions/0003_nothing.py").write_text(head + empty)

    outcome = known.pytest(CHECKS)

    assert outcome.code == 0, outcome.output


def test_a_skipped_or_failing_check_keeps_its_entries(known: Changed) -> None:
    """env.py that discovers modules skips one check, and a second head ends the run."""
    env = known.folder / "alembic/env.py"
    env.write_text(env.read_text() + "\n# import_module\n")

    outcome = known.pytest(f"{CHECKS}/test_models.py", WRITE)

    assert outcome.code == 0, outcome.output
    assert entries(known) == ENTRIES


def test_everything_fails_if_the_file_is_ignored(known: Changed) -> None:
    outcome = known.pytest(f"{CHECKS}/test_models.py", "--savepoint-baseline=ignore")

    assert len(outcome.failed) == 2


def test_an_error_is_no_finding(known: Changed) -> None:
    """What no baseline can hold stays red, and the file is as it was."""
    Edit("alembic/versions/0002_loans.py", 'down_revision = "0001"', "down_revision = None").make(known.folder)

    outcome = known.pytest(f"{CHECKS}/test_migrations.py", WRITE)

    assert outcome.code == 1
    assert "2 heads: 0001, 0002" in outcome.output
    assert entries(known) == ENTRIES


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[checks]", "[check]", "unknown key 'check'. The tables are [checks] and [guards]."),
        (
            "test_foreign_keys_are_indexed",
            "test_foreign_key_are_indexed",
            "[checks]: unknown check 'test_foreign_key_are_indexed'. Did you mean test_foreign_keys_are_indexed?",
        ),
        ('"loans.lent_at",\n]', "3]", "[checks]: 'test_datetimes_are_timezone_aware' must be a list of strings"),
        ('"leaked_environ"', '"leaked_enviro"', "unknown guard 'leaked_enviro'"),
        ("[guards]\n", "[guards]\n<<<<<<< ours\n", "this is not TOML:"),
    ],
    ids=str,
)
@pytest.mark.parametrize("option", ["check", "write"])
def test_a_file_that_is_wrong(known: Changed, old: str, new: str, said: str, option: str) -> None:
    Edit(FILE, old, new).make(known.folder)
    before = (known.folder / FILE).read_text()

    outcome = known.pytest(f"--savepoint-baseline={option}")

    assert outcome.code == 4, outcome.output
    assert f"{FILE}: " in outcome.output
    assert said in outcome.output
    assert (known.folder / FILE).read_text() == before


def test_a_downgrade_that_fails_is_a_finding(planted: Changed) -> None:
    """Older downgrades cannot be looked at then: their entries stay."""
    Edit("alembic/versions/0002_loans.py", 'op.drop_column("books", "pages")', 'op.drop_column("books", "page")').make(
        planted.folder
    )
    check = f"{CHECKS}/test_migrations.py::test_up_down_consistency"
    (planted.folder / FILE).write_text('[checks]\ntest_up_down_consistency = ["0001: leaves type public.x"]\n')

    new = planted.pytest(check)

    [said] = new.failed.values()
    assert said.startswith("A downgrade fails: alembic/versions/0002_loans.py:24, in downgrade: ProgrammingError: ")
    assert planted.pytest(check, WRITE).code == 0
    assert '  "0001: leaves type public.x",\n  "0002: downgrade fails",\n]\n' in entries(planted)
    assert planted.pytest(check).code == 0


def test_the_harness_in_another_folder(planted: Changed) -> None:
    folder = planted.folder / "app/checks"
    folder.mkdir()
    (planted.folder / "tests/harness").rename(folder / "harness")
    (folder / "__init__.py").touch()
    Edit("conftest.py", '"tests.harness"', '"app.checks.harness"').make(planted.folder)
    check = "app/checks/harness/checks/test_columns.py"

    outcome = planted.pytest(check)
    written = planted.pytest(check, WRITE)

    assert "  uv run pytest app/checks/harness/checks --savepoint-baseline=write" in lines(outcome)
    assert "baseline: 1 finding in 1 check, written to app/checks/savepoint-baseline.toml (1 new, 0 removed)" in lines(
        written
    )
    assert planted.pytest(check).code == 0


@pytest.mark.parametrize(
    ("file", "command"), [("poetry.lock", "poetry run "), ("pdm.lock", "pdm run "), ("requirements.txt", "")], ids=str
)
def test_the_commands_are_those_of_the_project(planted: Changed, file: str, command: str) -> None:
    (planted.folder / file).touch()
    (planted.folder / "db").mkdir()
    for name in ("alembic.ini", "alembic"):
        (planted.folder / name).rename(planted.folder / "db" / name)
    Edit("pyproject.toml", "[tool.savepoint]\n", '[tool.savepoint]\nalembic_ini = "db/alembic.ini"\n').make(
        planted.folder
    )

    outcome = planted.pytest(f"{CHECKS}/test_migrations.py::test_models_match_migrations")

    revision = f'{command}python -m tests.harness revision --empty "..."'
    assert f", create a migration that drops them: {revision}\n" in outcome.output, outcome.output
    assert f"  {command}pytest {CHECKS} {WRITE}" in lines(outcome)
