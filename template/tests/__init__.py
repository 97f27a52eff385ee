"""The tests; `tests.harness` is a plugin of pytest's, which conftest.py imports before pytest does."""

import os
from importlib import import_module

import pytest

pytest.register_assert_rewrite("tests.harness")

# Before conftest.py imports the application, whose modules may connect to a database while they are imported.
if "PYTEST_VERSION" in os.environ:
    import_module("tests.harness.early")
