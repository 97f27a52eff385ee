"""`revision "add nickname"`: writes a migration for what the models have and the migrations lack.

The models are compared with a database of the harness's own server, in which all migrations have run.
"""

from pathlib import Path

import pytest

from ..core.project import alembic_ini, has_migrations, run_of_pytest, shown
from ..core.source_lines import HARNESS
from ..database.databases import WorkerDatabase
from ..database.migrations import Migrations
from ..schema import head_file
from .in_pytest import answer, given, refuse

EQUAL = """\
The models and the migrations do not differ in what Alembic compares. Nothing was written. A migration without
operations, for you to write: add --empty"""


def test_revision(_migrations: Migrations, _worker_database: WorkerDatabase, pytestconfig: pytest.Config) -> None:
    arguments = given()
    if not has_migrations(pytestconfig):
        refuse(f"There is no {alembic_ini(pytestconfig).name}. Make one: alembic init -t async migrations")
    script = _migrations.revision(
        _worker_database.name, arguments["message"], arguments["rev_id"], is_empty=arguments["empty"]
    )
    if script is None:
        answer(EQUAL)
        return
    head_file.write(_migrations.folder, script.revision)
    checks = run_of_pytest(pytestconfig, HARNESS / "checks")
    answer(f"Written: {shown(Path(script.path), pytestconfig)}\nReview it, then run: {checks}")
