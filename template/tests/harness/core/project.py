"""Where the project has its code, its migrations and its tests: `source_folders`, `alembic_ini`, `governed_tests`."""

import os
from pathlib import Path

import pytest

from .settings import FILE, TABLE, Settings, settings_of
from .source_lines import HARNESS

# How commands of the project's environment are run, by a file beside pyproject.toml.
RUNNERS = {
    "uv.lock": "uv run ",
    "poetry.lock": "poetry run ",
    "pdm.lock": "pdm run ",
    "Pipfile.lock": "pipenv run ",
    "requirements.txt": "",
}


def configure(config: pytest.Config) -> None:
    """Raise `pytest.UsageError` if a file or a folder that the settings name does not exist."""
    settings = settings_of(config)
    for folder in settings.source_folders:
        if not (config.rootpath / folder).is_dir():
            raise pytest.UsageError(
                f"{FILE}: {TABLE}: source_folders: no folder {folder}. Name the folders of your own code."
            )
    for path in settings.governed_tests:
        if not (config.rootpath / path).exists():
            raise pytest.UsageError(f"{FILE}: {TABLE}: governed_tests: no file or folder {path}")
    if settings.alembic_ini != Settings.alembic_ini and not alembic_ini(config).is_file():
        raise pytest.UsageError(f"{FILE}: {TABLE}: alembic_ini: no file {settings.alembic_ini}")


def source_folders(config: pytest.Config) -> list[Path]:
    """The folders of the project's own code; without the setting, `src` or the package of the application."""
    settings, source = settings_of(config), config.rootpath / "src"
    if settings.source_folders:
        return [config.rootpath / folder for folder in settings.source_folders]
    package = settings.application.partition(":")[0].partition(".")[0]
    if not package or (source / package).exists():
        return [source]
    return [config.rootpath / (f"{package}.py" if (config.rootpath / f"{package}.py").is_file() else package)]


def is_own_code(path: Path, config: pytest.Config) -> bool:
    """Whether a file is in one of these folders."""
    return any(path.is_relative_to(folder) for folder in source_folders(config))


def alembic_ini(config: pytest.Config) -> Path:
    """The project's alembic.ini."""
    return config.rootpath / settings_of(config).alembic_ini


def has_migrations(config: pytest.Config) -> bool:
    """Whether there is an alembic.ini."""
    return alembic_ini(config).is_file()


def is_governed(item: pytest.Item) -> bool:
    """Whether the harness isolates and guards a test: every test, or the checks and what `governed_tests` names."""
    paths = settings_of(item.config).governed_tests
    if not paths:
        return True
    governed = [HARNESS, *(item.config.rootpath / path for path in paths)]
    return any(item.path.is_relative_to(path) for path in governed)


def shown(path: Path, config: pytest.Config) -> str:
    """A path for messages: from pytest's root folder."""
    return Path(os.path.relpath(path, config.rootpath)).as_posix()


def command(config: pytest.Config, text: str) -> str:
    """A command for messages, run by uv or by what else the project has a lock file of: `uv run pytest`."""
    runner = next((runner for file, runner in RUNNERS.items() if (config.rootpath / file).exists()), "uv run ")
    return f"{runner}{text}"


def alembic_command(config: pytest.Config) -> str:
    """Alembic's command line for messages: `uv run alembic`."""
    ini = settings_of(config).alembic_ini
    return command(config, "alembic" if ini == Settings.alembic_ini else f"alembic -c {ini}")


def harness_command(config: pytest.Config, text: str) -> str:
    """A command of the harness for messages: `uv run python -m tests.harness rebase`."""
    return command(config, f"python -m {__name__.rpartition('.core.')[0]} {text}")


def run_of_pytest(config: pytest.Config, path: Path, *options: str) -> str:
    """A run of pytest for messages, of a file or a folder."""
    return command(config, " ".join(["pytest", shown(path, config), *options]))
