"""The project's migrations; in a project without alembic.ini, the schema of its models.

The checks of migrations are skipped there, and the schema is built again when a file of the project's code changes.
"""

from functools import cached_property
from pathlib import Path

import pytest
from sqlalchemy import MetaData

from ..app.wiring import load
from ..connections.process import REDIRECT
from ..core.project import alembic_command, alembic_ini, has_migrations, source_folders
from ..core.settings import FILE, TABLE, settings_of
from ..postgres.server import Server
from .alembic_env import OnVersionApply
from .imported_files import imported_files
from .migration_errors import MigrationError
from .migrations import Migrations

NO_METADATA = (
    f"There is no alembic.ini. Without migrations, the schema is created from the models: set models_metadata under "
    f'{TABLE} of {FILE}, e.g. "app.models:Base.metadata". If alembic.ini is elsewhere, set alembic_ini.'
)


class WithoutMigrations(Migrations):
    """Creates the tables of the models in place of an upgrade.

    Args:
        server: as of `Migrations`.
        config: names the application and the metadata.
    """

    count = 0

    def __init__(self, server: Server | None, config: pytest.Config) -> None:
        super().__init__(server, alembic_ini(config), config.stash[REDIRECT], alembic_command(config))
        self._pytest_config = config

    def files(self, root: Path) -> list[Path]:
        """The files of the project's code, any of which may define a model."""
        if not settings_of(self._pytest_config).models_metadata:
            raise MigrationError(NO_METADATA)
        found = {path for folder in source_folders(self._pytest_config) for path in folder.rglob("*.py")}
        # Of an application that is no package, e.g. main.py.
        modules = list(root.glob("*.py"))
        found |= {*modules, *imported_files(modules, root)}
        return sorted(found)

    def raise_if_several_heads(self) -> None:
        """There are none."""

    def upgrade(self, database: str, revision: str = "head", watch: OnVersionApply | None = None) -> None:
        """Create the tables of the models; raises `MigrationError`."""
        try:
            self.create_all(database, self._metadata)
        except Exception as error:
            raise MigrationError(f"create_all(): {type(error).__name__}: {error}") from error

    @cached_property
    def _metadata(self) -> MetaData:
        settings = settings_of(self._pytest_config)
        if settings.application:
            # It imports every model.
            load("application", settings.application)
        metadata: MetaData = load("models_metadata", settings.models_metadata)
        return metadata


def migrations_of(config: pytest.Config, server: Server | None) -> Migrations:
    """The project's migrations, outside of a fixture; without a server, they can only be read."""
    if not has_migrations(config):
        return WithoutMigrations(server, config)
    return Migrations(server, alembic_ini(config), config.stash[REDIRECT], alembic_command(config))


@pytest.fixture(scope="session")
def migrations(pytestconfig: pytest.Config, postgres_server: Server) -> Migrations:
    """The project's migrations: `migrations.upgrade(empty_database_name)`, `.downgrade(…)`, `.script`."""
    return migrations_of(pytestconfig, postgres_server)


@pytest.fixture(scope="session")
def _migrations(pytestconfig: pytest.Config, _server: Server) -> Migrations:
    """The project's migrations, for every database of the server."""
    return migrations_of(pytestconfig, _server)
