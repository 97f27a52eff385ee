"""The modules of the harness that pytest loads, and the guards. Their order has no effect."""

import pkgutil
from importlib import import_module
from pathlib import Path

import pytest

from . import guards

# With fixtures or hooks.
MODULES = [
    "connections.process",
    "app.client",
    "app.openapi",
    "app.wiring",
    "database.server",
    "database.server_gone",
    "database.project_migrations",
    "database.template",
    "database.seed_data",
    "database.running_app",
    "database.isolation",
    "database.savepoint",
    "database.own_database",
    "database.create",
    "database.statements",
    "database.lock_waits",
    "schema.history",
    "schema.new_revisions",
    "rows.fixtures",
    "guards.base",
    "guards.slow_test",
    "runner.event_loop",
    "runner.async_plugin",
    "runner.governed_tests",
    "runner.deadline",
    "runner.garbage",
    "core.run",
    "core.findings",
    "core.deprecated",
]
# A folder with `fixture.py` belongs to an optional feature.
MODULES += [f"{path.parent.name}.fixture" for path in Path(__file__).parent.glob("*/fixture.py")]

# A guard that needs another guard imports it.
GUARDS = [import_module(f"{guards.__name__}.{module.name}") for module in pkgutil.iter_modules(guards.__path__)]


def register(manager: pytest.PytestPluginManager) -> None:
    """Register the modules. For names in `pytest_plugins`, pytest reads the entry points of all packages: 2 ms each."""
    for module in MODULES:
        manager.import_plugin(f"{__package__}.{module}")
