"""`compatible`: which revisions are new, and where the release without them is; `deployed_release` runs its tests."""

import json

import pytest

from ..core.project import has_migrations, shown
from ..core.source_lines import HARNESS
from ..database.project_migrations import migrations_of
from ..schema.new_revisions import GitError, added_since, branching_point, default_branch
from ..schema.revisions import reason
from .in_pytest import answer, given, refuse

NOTHING = "No migration is new since {}: the deployed release has the schema that it knows."
STATED = "Not run: revision {} states incompatible = {!r}."
NO_BRANCH = "There is no branch to compare with. Name the commit of the deployed release: --since"


def test_compatible(pytestconfig: pytest.Config) -> None:
    root = pytestconfig.rootpath
    since = given()["since"] or default_branch(root) or refuse(NO_BRANCH)
    try:
        added = added_since(root, since)
    except GitError as error:
        refuse(str(error))
    migrations = migrations_of(pytestconfig, None)
    scripts = list(migrations.script.walk_revisions()) if has_migrations(pytestconfig) else []
    new = [script for script in scripts if migrations.file(script) in added]
    stated = [STATED.format(script.revision, why) for script in new if (why := reason(script, "incompatible"))]
    plan = {
        "note": NOTHING.format(since) if not new else stated[0] if stated else "",
        "commit": branching_point(root, since),
        "since": since,
        "folder": shown(migrations.folder, pytestconfig) if new else "",
        "revisions": [shown(migrations.file(script), pytestconfig) for script in scripts],
        "harness": shown(HARNESS, pytestconfig),
    }
    answer(json.dumps(plan))
