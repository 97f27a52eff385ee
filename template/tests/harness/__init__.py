# SPDX-FileCopyrightText: 2026 The Savepoint maintainers
# SPDX-License-Identifier: MIT
"""A test harness on a real PostgreSQL: fixtures, checks and the rules that keep tests apart.

`tests/conftest.py` loads it with `pytest_plugins = ["tests.harness"]` and wires the application by overriding three
fixtures: `app`, `session_factory` and `metadata`. `plugin.py` lists the parts; what tests may import stands in
`__all__`. The folder comes from the template, and updates replace it.
"""

from .app.client import NewClient
from .app.lifespan import RunningApp
from .database.create import Create
from .database.lock_waits import WaitForLockWaiters
from .database.migrations import Migrations
from .database.seed_data import SeedData
from .database.statements import Queries
from .guards.base import Guard

__version__ = "0.4.0"

# Its name before 0.4, which works until 0.5.
UntilWaitingForLocks = WaitForLockWaiters

__all__ = [
    "Create",
    "Guard",
    "Migrations",
    "NewClient",
    "Queries",
    "RunningApp",
    "SeedData",
    "UntilWaitingForLocks",
    "WaitForLockWaiters",
]

pytest_plugins = ["tests.harness.plugin"]
