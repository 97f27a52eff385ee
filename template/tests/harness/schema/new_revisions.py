"""Which revisions no database of production has seen yet: the newest, or those that a branch has added."""

import shutil
import subprocess
from pathlib import Path

import pytest
from alembic.script import Script

from ..database.migrations import Migrations

# Python files that were added since the commit that is named; None if none is.
ADDED = pytest.StashKey[set[Path] | None]()


def configure(config: pytest.Config) -> None:
    since = config.option.revisions_since
    # Now, since a commit that is not there is a mistake of the command line.
    config.stash[ADDED] = None if since is None else _added(config.rootpath, since)


@pytest.fixture(scope="session")
def _new_revisions(migrations: Migrations, pytestconfig: pytest.Config) -> list[Script]:
    """The revisions that are taken for new; the newest first."""
    revisions = list(migrations.script.walk_revisions())
    added = pytestconfig.stash[ADDED]
    return revisions[:1] if added is None else [script for script in revisions if Path(script.path).resolve() in added]


def _added(root: Path, since: str) -> set[Path]:
    # From where the two have parted: what `since` has got meanwhile is not this branch's.
    [base] = _git(root, since, "merge-base", since, "HEAD")
    found = _git(root, since, "diff", "--name-only", "--relative", "--diff-filter=AR", base, "--", "*.py")
    found += _git(root, since, "ls-files", "--others", "--exclude-standard", "--", "*.py")
    return {(root / path).resolve() for path in found}


def _git(root: Path, since: str, *arguments: str) -> list[str]:
    git = shutil.which("git")
    if git is None:
        raise pytest.UsageError("--revisions-since: git is not installed")
    done = subprocess.run([git, *arguments], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.splitlines() or ["there is no commit from which that and this have come"]
        raise pytest.UsageError(f"--revisions-since {since}: git says: {said[0]}")
    return done.stdout.splitlines()
