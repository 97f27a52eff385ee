"""`compatible`: which revisions are new, and where the release without them is; `deployed_release` runs its tests."""

import json
from pathlib import Path

import pytest

from ..core.project import alembic_ini, has_migrations, shown
from ..core.source_lines import HARNESS
from ..database.migration_errors import MigrationError
from ..database.project_migrations import migrations_of
from ..schema import head_file
from ..schema.new_revisions import GitError, added_since, branching_point, default_branch
from ..schema.revisions import reason
from .in_pytest import answer, given, refuse

NOTHING = "No migration is new since {}: the deployed release has the schema that it knows."
STATED = "Not run: revision {} states incompatible = {!r}."
NO_MIGRATIONS = "There is no {}, so there are no migrations that the deployed release could not live with."
NO_BRANCH = "There is no branch to compare with. Name the commit of the deployed release: --since"


def test_compatible(pytestconfig: pytest.Config) -> None:
    root = pytestconfig.rootpath
    if not has_migrations(pytestconfig):
        refuse(NO_MIGRATIONS.format(alembic_ini(pytestconfig).name))
    since = given()["since"] or default_branch(root) or refuse(NO_BRANCH)
    migrations = migrations_of(pytestconfig, None)
    try:
        migrations.raise_if_several_heads()
        added = added_since(root, since)
        scripts = list(migrations.script.walk_revisions())
    except (GitError, MigrationError) as error:
        refuse(str(error))
    new = [script for script in scripts if migrations.file(script) in added]
    stated = [STATED.format(script.revision, why) for script in new if (why := reason(script, "incompatible"))]
    revisions = [migrations.file(script) for script in scripts]
    plan = {
        "note": NOTHING.format(since) if not new else stated[0] if stated else "",
        "commit": branching_point(root, since),
        "since": since,
        "versions": sorted({shown(path.parent, pytestconfig) for path in revisions}),
        "files": [shown(path, pytestconfig) for path in [*revisions, *_read_by_revisions(migrations.folder, root)]],
        "harness": shown(HARNESS, pytestconfig),
    }
    answer(json.dumps(plan))


def _read_by_revisions(folder: Path, root: Path) -> list[Path]:
    """The files beside the revisions that they may read, such as SQL; env.py stays that of the release."""
    found = [] if folder.resolve() == root else [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in found if path.suffix not in (".py", ".pyc") and path != folder / head_file.NAME]
