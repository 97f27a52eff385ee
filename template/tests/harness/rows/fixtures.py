"""The trials of the new revisions, for the checks."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pytest
from alembic.script import Script

from ..core.settings import settings_of
from ..database.databases import WorkerDatabases
from ..database.migrations import Migrations
from ..schema.history import MigrationHistory

if TYPE_CHECKING:
    from .trial import Trial


@pytest.fixture(scope="session")
def _trials(
    _migrations: Migrations,
    _databases: WorkerDatabases,
    _new_revisions: list[Script],
    migration_history: MigrationHistory,
    pytestconfig: pytest.Config,
) -> "Mapping[str, Trial]":
    """The trial of each new revision, by revision."""
    # Not at the start of a run that checks no migration.
    from .trials import trials_of

    downgrades = not settings_of(pytestconfig).forward_only
    return trials_of(_migrations, _databases, _new_revisions, migration_history, downgrades=downgrades)
