"""A test harness on a real PostgreSQL: fixtures, checks and the rules that keep tests apart.

`tests/conftest.py` loads it with `pytest_plugins = ["tests.harness"]` and wires the application by overriding three
fixtures: `app`, `session_factory` and `metadata`. Every module of this folder is a pytest plugin and one idea; what
tests may import stands in `__all__`. The folder comes from the template, and updates replace it.
"""

import pkgutil

from .client import NewClient
from .create import Create
from .lifespan import RunningApp
from .lock_waits import UntilWaitingForLocks
from .migrations import Migrations
from .queries import Queries
from .seed import SeedData

__all__ = ["Create", "Migrations", "NewClient", "Queries", "RunningApp", "SeedData", "UntilWaitingForLocks"]

# Found, not listed: the conftest that names this package belongs to the user, and a new module has to load without
# an edit.
pytest_plugins = [f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__) if not module.ispkg]
