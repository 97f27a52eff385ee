"""`rebase`: of two heads, lets the migrations of this branch follow the other head."""

from pathlib import Path

import pytest

from ..core.project import run_of_pytest, shown
from ..core.source_lines import HARNESS
from ..database.migration_errors import MigrationError
from ..database.project_migrations import migrations_of
from ..schema import head_file
from ..schema.new_revisions import GitError, added_since, default_branch
from ..schema.rebase import RebaseError, rebase
from .in_pytest import answer, given, refuse


def test_rebase(pytestconfig: pytest.Config) -> None:
    arguments = given()
    migrations = migrations_of(pytestconfig, None)
    root = pytestconfig.rootpath
    try:
        since = arguments["since"] or default_branch(root)
        added = added_since(root, since) if since else None
        moved = rebase(migrations.script, added, arguments["head"])
    except (RebaseError, GitError, MigrationError) as error:
        refuse(str(error))
    head_file.write(migrations.folder, moved.head)
    checks = run_of_pytest(pytestconfig, HARNESS / "checks")
    file = shown(Path(moved.file), pytestconfig)
    answer(f"{file}: down_revision is {moved.after}, and was {moved.before}. Run: {checks}")
