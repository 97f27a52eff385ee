"""Stops a run of the checks in which no conftest.py has loaded the harness."""

import pytest

HARNESS = __name__.rpartition(".checks.")[0]


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.has_plugin(f"{HARNESS}.plugin"):
        raise pytest.UsageError(
            f'The harness is not loaded. Write into conftest.py beside pyproject.toml: pytest_plugins = ["{HARNESS}"]'
        )
