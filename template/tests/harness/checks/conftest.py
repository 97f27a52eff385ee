"""For all checks: no run without the harness, no limit of guard slow_test, and a skip where there are no migrations."""

import pytest

from ..core.project import has_migrations
from ..core.source_lines import HARNESS as FOLDER

OF_MIGRATIONS = ("test_migrations.py", "test_new_revisions.py")

HARNESS = __name__.rpartition(".checks.")[0]


def pytest_configure(config: pytest.Config) -> None:
    """Stop a run without the harness."""
    if not config.pluginmanager.has_plugin(f"{HARNESS}.plugin"):
        raise pytest.UsageError(
            f'The harness is not loaded. Write into conftest.py beside pyproject.toml: pytest_plugins = ["{HARNESS}"]'
        )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # In a run of a folder above, the error of the other hook is that of a file, and pytest goes on.
    pytest_configure(config)
    is_without = not has_migrations(config)
    for item in items:
        if item.path.parent != FOLDER / "checks":
            continue
        # A check takes as long as the project is large: 15 s for 1,000 revisions.
        item.add_marker(pytest.mark.allow_guard("slow_test"))
        if is_without and (item.path.name in OF_MIGRATIONS or "migrations" in getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.skip("there is no alembic.ini"))
