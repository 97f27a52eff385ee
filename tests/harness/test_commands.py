"""`python -m tests.harness`: a revision by comparison with the harness's own server, and two heads made one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.environment import UV
from tests.harness.sample import Outcome, Sample
from tests.preloaded import run_module, run_pytest
from tests.rendering import git

MODELS = "src/sample/models.py"
NICKNAME = "    nickname: Mapped[str | None] = mapped_column(String(50))\n"
REVISION = '''\
"""Empty

Revision ID: {0}
Revises: {1}
"""

revision: str = "{0}"
down_revision: str | None = "{1}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
'''
TRIGGER = """\
    op.execute("CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    op.execute("CREATE TRIGGER forget BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION forget()")
"""
BACK = """\
    op.execute("DROP TRIGGER forget ON users")
    op.execute("DROP FUNCTION forget")
    op.drop_column("users", "nickname")
"""
Write = Callable[..., Path]


@pytest.fixture
def write(sample: Sample) -> Write:
    """Writes an empty revision; returns its file."""

    def write(name: str, after: str = "0001") -> Path:
        path = sample.folder / "migrations" / "versions" / f"{name}.py"
        path.write_text(REVISION.format(name, after))
        return path

    return write


@pytest.fixture
def branch(sample: Sample) -> Callable[..., None]:
    """Runs git in the sample, which is a repository with a first commit on main."""

    def run(*arguments: str) -> None:
        git(sample.folder, *arguments)

    run("init", "--quiet", "-b", "main")
    run("add", "-A")
    run("commit", "--quiet", "-m", "First")
    return run


def command(sample: Sample, *arguments: str) -> tuple[int, str]:
    done = run_module(sample, "tests.harness", *arguments, GIT_CEILING_DIRECTORIES=str(sample.folder.parent))
    return done.returncode, done.stdout


def add_a_column(sample: Sample) -> None:
    path = sample.folder / MODELS
    text = path.read_text()
    email = next(line for line in text.splitlines(keepends=True) if line.startswith("    email:"))
    path.write_text(text.replace(email, email + NICKNAME))


def head(sample: Sample) -> str:
    return (sample.folder / "migrations" / "head").read_text()


def test_a_revision_is_written_and_passes_every_check(sample: Sample) -> None:
    add_a_column(sample)
    assert "add_column" in sample.checks().output

    code, output = command(sample, "revision", "add nickname")

    assert code == 0, output
    [path] = sample.folder.rglob("*_add_nickname.py")
    assert (
        output == f"Written: migrations/versions/{path.name}\nReview it, then run: uv run pytest tests/harness/checks\n"
    )
    assert "op.add_column" in path.read_text()
    assert head(sample).strip() in path.read_text()
    for check in (
        ("ruff", "check", "migrations"),
        ("ruff", "format", "--check", "migrations"),
        ("mypy", "src", "migrations"),
    ):
        sample.check(UV, "run", "--no-sync", *check)
    assert " failed" not in (checks := sample.checks().output), checks


def test_nothing_is_written_without_a_difference(sample: Sample) -> None:
    code, output = command(sample, "revision", "nothing")

    assert code == 0
    assert output.startswith(
        "The models and the migrations do not differ in what Alembic compares. Nothing was written."
    )
    assert list(sample.folder.rglob("*_nothing.py")) == []
    assert not (sample.folder / "migrations" / "head").exists()


def test_an_empty_revision(sample: Sample) -> None:
    code, output = command(sample, "revision", "--empty", "--rev-id", "0002", "by hand")

    assert code == 0, output
    [path] = sample.folder.rglob("*_by_hand.py")
    assert 'revision: str = "0002"' in path.read_text()
    assert head(sample) == "0002\n"


def test_what_stops_a_run_stops_a_command(sample: Sample, write: Write) -> None:
    write("0002")
    write("0003")

    code, output = command(sample, "revision", "third")

    assert code == 1
    assert "2 heads: 0002, 0003" in output
    assert "uv run python -m tests.harness rebase" in output


def test_the_head_file_makes_two_branches_conflict_and_rebase_resolves_it(
    sample: Sample, branch: Callable[..., None]
) -> None:
    branch("switch", "--quiet", "-c", "feature")
    for name in ("mine", "mine too"):
        assert command(sample, "revision", "--empty", "--rev-id", name.replace(" ", "_"), name)[0] == 0
    branch("add", "-A")
    branch("commit", "--quiet", "-m", "Mine")
    branch("switch", "--quiet", "main")
    assert command(sample, "revision", "--empty", "--rev-id", "theirs", "theirs")[0] == 0
    branch("add", "-A")
    branch("commit", "--quiet", "-m", "Theirs")
    branch("switch", "--quiet", "feature")

    merge = sample.run("git", "merge", "main")

    assert "CONFLICT (add/add): Merge conflict in migrations/head" in merge.stdout

    code, output = command(sample, "rebase")

    [first] = sample.folder.rglob("*_mine.py")
    assert (code, output) == (
        0,
        f"migrations/versions/{first.name}: down_revision is theirs, and was 0001. Run: uv run pytest "
        "tests/harness/checks\n",
    )
    assert "Revises: theirs\n" in first.read_text()
    assert 'down_revision: str | Sequence[str] | None = "theirs"\n' in first.read_text()
    assert head(sample) == "mine_too\n"
    assert " failed" not in (checks := sample.checks().output), checks


def test_a_head_is_named_where_git_cannot_say_it(sample: Sample, write: Write) -> None:
    before = write("0002").read_text()
    moved = write("0003")

    code, output = command(sample, "rebase")
    assert (code, output) == (
        1,
        "This folder has no git branch to compare with. Name the head to move: rebase 0002, or rebase 0003.\n",
    )
    assert command(sample, "rebase", "0003")[0] == 0

    assert 'down_revision: str | None = "0002"\n' in moved.read_text()
    assert write("0002").read_text() == before


def test_a_deployed_revision_is_not_moved(sample: Sample, write: Write, branch: Callable[..., None]) -> None:
    deployed = write("0002")
    branch("add", "-A")
    branch("commit", "--quiet", "-m", "Deployed")
    write("0003")

    code, output = command(sample, "rebase", "0002")

    assert (code, output) == (
        1,
        f"{deployed} is not new in this branch, and may be deployed. Name the other head.\n",
    )
    assert command(sample, "rebase")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "This branch has added both heads. Name the head to move: rebase 0002, or rebase 0003."),
        (["0001"], "0001 is not a head. The heads are 0002 and 0003."),
        (["--since", "nowhere"], "git failed: fatal: Not a valid object name nowhere"),
    ],
)
def test_what_cannot_be_moved(
    sample: Sample, write: Write, branch: Callable[..., None], arguments: list[str], message: str
) -> None:
    for name in ("0002", "0003"):
        write(name)

    assert command(sample, "rebase", *arguments) == (1, f"{message}\n")


def test_one_head(sample: Sample) -> None:
    assert command(sample, "rebase") == (1, "There must be two heads, and there are 1: 0001.\n")


@pytest.mark.parametrize("name", ["rebase", "compatible"])
def test_a_revision_that_cannot_be_read(sample: Sample, write: Write, branch: Callable[..., None], name: str) -> None:
    write("0002").write_text("revision = \n")

    code, output = command(sample, name)

    assert (code, output) == (1, "migrations/versions/0002.py:1: SyntaxError: invalid syntax\n")


def test_a_merge_is_not_moved(sample: Sample, write: Write) -> None:
    for name in ("0002", "0003", "0005"):
        write(name)
    path = write("0004")
    path.write_text(path.read_text().replace('down_revision: str | None = "0001"', 'down_revision = ("0002", "0003")'))

    code, output = command(sample, "rebase", "0004")

    assert code == 1
    assert "only revisions that follow one other can be moved. Merge the heads instead: alembic merge heads" in output


def test_a_head_file_of_another_head_fails_a_check(sample: Sample, write: Write) -> None:
    write("0002")
    (sample.folder / "migrations" / "head").write_text("0001\n")

    outcome = sample.checks()

    assert "migrations/head says '0001', and the head is 0002. Write that into the file." in outcome.output
    assert "test_single_head_revision" in outcome.output


def test_the_recipe_for_squashing(sample: Sample, write: Write) -> None:
    add_a_column(sample)
    path = write("0002")
    column = '    op.add_column("users", sa.Column("nickname", sa.String(50)))\n'
    text = path.read_text().replace("    pass\n", column + TRIGGER, 1).replace("    pass\n", BACK, 1)
    path.write_text(
        text.replace("revision: str", "import sqlalchemy as sa\nfrom alembic import op\n\nrevision: str", 1)
    )
    project = (sample.folder / "pyproject.toml").read_text()
    ignored = '[tool.savepoint]\nignore_drift = ["function forget()", "trigger public.users.forget"]\n'
    sample.write("pyproject.toml", project.replace("[tool.savepoint]\n", ignored))
    assert " failed" not in (checks := sample.checks().output), checks
    for old in path.parent.glob("*.py"):
        old.unlink()

    code, output = command(sample, "revision", "--rev-id", "0002", "squashed")

    assert code == 0, output
    assert (outcome := sample.checks()).output.count("matches nothing") == 2, outcome.output
    [squashed] = path.parent.glob("*_squashed.py")
    upgrade, downgrade, body = squashed.read_text().partition("def downgrade() -> None:\n")
    back = BACK.replace('    op.drop_column("users", "nickname")\n', "")
    squashed.write_text(upgrade.rstrip() + f"\n{TRIGGER}\n\n{downgrade}{back}{body}")
    outcome = sample.checks()
    assert (" failed" in outcome.output, "matches nothing" in outcome.output) == (False, False), outcome.output


def test_a_hook_that_skips_every_test(sample: Sample) -> None:
    """A command that has not run is no success."""
    hook = "def pytest_collection_modifyitems(items):\n    for item in items:\n        item.add_marker('skip')\n"
    conftest = sample.folder / "tests" / "conftest.py"
    conftest.write_text(f"{conftest.read_text()}\n\n{hook}")

    code, output = command(sample, "rebase")

    assert code == 1
    assert "1 skipped" in output


def test_help(sample: Sample) -> None:
    code, output = command(sample, "--help")

    assert code == 0
    assert "write a migration by comparing the models" in output


def test_forward_only(sample: Sample, write: Write) -> None:
    path = write("0002")
    path.write_text(
        path.read_text().replace("def downgrade() -> None:\n    pass", "def downgrade() -> None:\n    1 / 0")
    )
    assert "A downgrade fails:" in sample.checks().output

    outcome = Outcome.of(run_pytest(sample, "tests/harness/checks", "-o", "savepoint_forward_only=true"))

    assert "1 skipped" in outcome.output
    assert " failed" not in outcome.output
