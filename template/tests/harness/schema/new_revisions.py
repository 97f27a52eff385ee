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


class GitError(Exception):
    """Git does not know which revisions are new; the message says why."""


# Of version 0.3, by their new names.
OLD_NAMES = {"destructive": "destroys", "takes_locks": "locks"}


def configure(config: pytest.Config) -> None:
    since = config.option.revisions_since
    # At the start of the run, since an unknown commit is a usage error.
    try:
        config.stash[ADDED] = None if since is None else added_since(config.rootpath, since)
    except GitError as error:
        raise pytest.UsageError(f"--revisions-since {since}: {error}") from None


@pytest.fixture(scope="session")
def _new_revisions(migrations: Migrations, pytestconfig: pytest.Config) -> list[Script]:
    """The new revisions, newest first."""
    revisions = list(migrations.script.walk_revisions())
    added = pytestconfig.stash[ADDED]
    return revisions[:1] if added is None else [script for script in revisions if migrations.file(script) in added]


def allowed_reason(config: pytest.Config, script: Script, name: str) -> str | None:
    """The reason why a new revision may be `destructive` or `takes_locks`; None if it states no reason."""
    if (stated := reason(script, name)) is None and (stated := reason(script, OLD_NAMES[name])) is not None:
        new = f"{name} = {json.dumps(stated, ensure_ascii=False)}"
        warn(config, f"{OLD_NAMES[name]} in revision {script.revision}", f"Write: {new}")
    return stated


def added_since(root: Path, since: str) -> set[Path]:
    """The Python files that this branch has added; raises `GitError`."""
    base = branching_point(root, since)
    # And absent there: in a merge that has conflicts, the files of `since` are in the work tree.
    found = sorted(set(_added_to(root, base)) & set(_added_to(root, since)))
    found += _paths(root, "ls-files", "--others", "--exclude-standard")
    return {(root / path).resolve() for path in found}


def branching_point(root: Path, since: str) -> str:
    """The common ancestor: later commits of `since` are not part of this branch."""
    [base] = _git(root, "merge-base", since, "HEAD")
    return base


def _added_to(root: Path, commit: str) -> list[str]:
    return _paths(root, "diff", "--name-only", "--relative", "--diff-filter=AR", commit)


def default_branch(root: Path) -> str | None:
    """The branch that others merge into; None if there is none, or no git."""
    for name in ("origin/HEAD", "origin/main", "origin/master", "main", "master"):
        try:
            _git(root, "rev-parse", "--verify", "--quiet", name + "^{commit}")
        except GitError:
            continue
        return name
    return None


def _paths(root: Path, *arguments: str) -> list[str]:
    # -z: without it, git quotes the names that are not ASCII.
    return "\n".join(_git(root, *arguments, "-z", "--", "*.py")).split("\0")[:-1]


def _git(root: Path, *arguments: str) -> list[str]:
    git = shutil.which("git")
    if git is None:
        raise GitError("git is not installed")
    command = [git, *arguments]
    done = subprocess.run(
        command, cwd=root, capture_output=True, encoding="utf-8", errors="surrogateescape", check=False
    )
    if done.returncode:
        lines = done.stderr.splitlines() or ["HEAD has no common ancestor with it"]
        raise GitError(f"git failed: {lines[0]}")
    return done.stdout.splitlines()
