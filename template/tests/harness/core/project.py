"""Where the project has its own code and its migrations: the settings `source_folders` and `alembic_ini`."""

from pathlib import Path

import pytest

from .settings import FILE, TABLE, Settings, settings_of


def configure(config: pytest.Config) -> None:
    """Raise `pytest.UsageError` if a file or a folder that the settings name does not exist."""
    settings = settings_of(config)
    # A rendered project may have moved its `src`, and has no other setting.
    is_default = settings.source_folders == Settings.source_folders and not settings.application
    for folder in settings.source_folders:
        if not is_default and not (config.rootpath / folder).is_dir():
            raise pytest.UsageError(
                f"{FILE}: {TABLE}: source_folders: no folder {folder}. Name the folders of your own code."
            )
    if settings.alembic_ini != Settings.alembic_ini and not alembic_ini(config).is_file():
        raise pytest.UsageError(f"{FILE}: {TABLE}: alembic_ini: no file {settings.alembic_ini}")


def source_folders(config: pytest.Config) -> list[Path]:
    """The folders of the project's own code."""
    return [config.rootpath / folder for folder in settings_of(config).source_folders]


def is_own_code(path: Path, config: pytest.Config) -> bool:
    """Whether a file is in one of these folders."""
    return any(path.is_relative_to(folder) for folder in source_folders(config))


def alembic_ini(config: pytest.Config) -> Path:
    """The project's alembic.ini."""
    return config.rootpath / settings_of(config).alembic_ini
