"""Selects the revisions that production does not have yet: the newest, or those that a branch has added."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from alembic.script import Script

from ..core.deprecated import warn
from ..database.migrations import Migrations
from .revisions import reason

# The Python files that were added since the commit of --revisions-since; None without the option.
ADDED = pytest.StashKey[set[Path] | None]()

# Of version 0.3, by their new names.
OLD_NAMES = {"destructive": "destroys", "takes_locks": "locks"}


def configure(config: pytest.Config) -> None:
    since = config.option.revisions_since
    # At the start of the run, since an unknown commit is a usage error.
    config.stash[ADDED] = None if since is None else _added(config.rootpath, since)


@pytest.fixture(scope="session")
def _new_revisions(migrations: Migrations, pytestconfig: pytest.Config) -> list[Script]:
    """The new revisions, newest first."""
    revisions = list(migrations.script.walk_revisions())
    added = pytestconfig.stash[ADDED]
    return revisions[:1] if added is None else [script for script in revisions if Path(script.path).resolve() in added]


def allowed_reason(config: pytest.Config, script: Script, name: str) -> str | None:
    """The reason why a new revision may be `destructive` or `takes_locks`; None if it states no reason."""
    if (stated := reason(script, name)) is None and (stated := reason(script, OLD_NAMES[name])) is not None:
        new = f"{name} = {json.dumps(stated, ensure_ascii=False)}"
        warn(config, f"{OLD_NAMES[name]} in revision {script.revision}", f"Write: {new}")
    return stated


def _added(root: Path, since: str) -> set[Path]:
    # Since the common ancestor: later commits of `since` are not part of this branch.
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
        lines = done.stderr.splitlines() or ["HEAD has no common ancestor with it"]
        raise pytest.UsageError(f"--revisions-since {since}: git failed: {lines[0]}")
    return done.stdout.splitlines()
