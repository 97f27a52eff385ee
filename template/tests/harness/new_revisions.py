"""Which revisions no database of production has seen yet: the newest, or those that a branch has added."""

import subprocess
from pathlib import Path

import pytest
from alembic.script import Script

from .migrations import Migrations

OPTION_HELP = (
    "Look at each revision that was added since this commit, such as origin/main; without it, at the newest alone."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("savepoint").addoption("--revisions-since", metavar="COMMIT", help=OPTION_HELP)


@pytest.fixture(scope="session")
def new_revisions(migrations: Migrations, pytestconfig: pytest.Config) -> list[Script]:
    """The revisions that are taken for new; the newest first."""
    revisions = list(migrations.script.walk_revisions())
    since = pytestconfig.getoption("revisions_since")
    if since is None:
        return revisions[:1]
    added = _added(pytestconfig.rootpath, since)
    return [script for script in revisions if Path(script.path).resolve() in added]


def _added(root: Path, since: str) -> set[Path]:
    # Against the commit that both have come from: what `since` has got meanwhile is not this branch's.
    command = ["git", "diff", "--name-only", "--relative", "--diff-filter=AR", "--merge-base", since, "--", "*.py"]
    try:
        said = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        raise pytest.UsageError("--revisions-since: git is not installed") from None
    except subprocess.CalledProcessError as failed:
        raise pytest.UsageError(f"--revisions-since {since}: git says: {failed.stderr.strip()}") from None
    return {(root / path).resolve() for path in said.splitlines()}
