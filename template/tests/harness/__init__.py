# SPDX-FileCopyrightText: 2026 The Savepoint maintainers
# SPDX-License-Identifier: MIT
"""A test harness on a real PostgreSQL: fixtures, checks, guards, and isolation of tests.

`tests/conftest.py` loads it with `pytest_plugins = ["tests.harness"]` and overrides two fixtures: `app` and
`metadata`. `plugin.py` lists the modules. `__all__` lists what tests may import. The folder belongs to the template:
updates replace it.
"""

# First: the other modules import the drivers, and what an older library may lack.
from . import imported_before as imported_before
from . import versions as versions
from .app.client import NewClient
from .app.lifespan import RunningApp
from .database.create import Create
from .database.lock_waits import WaitForLockWaiters
from .database.migrations import Migrations
from .database.seed_data import SeedData
from .database.statements import Queries
from .guards.base import Guard
from .postgres.server import Server
from .schema.history import MigrationHistory

__version__ = "0.7.0"

# The name before 0.4; to be removed in 1.0.
UntilWaitingForLocks = WaitForLockWaiters

__all__ = [
    "Create",
    "Guard",
    "MigrationHistory",
    "Migrations",
    "NewClient",
    "Queries",
    "RunningApp",
    "SeedData",
    "Server",
    "UntilWaitingForLocks",
    "WaitForLockWaiters",
]

pytest_plugins = [f"{__name__}.plugin"]
