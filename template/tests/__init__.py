"""The tests; `tests.harness` is a plugin of pytest's, which conftest.py imports before pytest does."""

import pytest

pytest.register_assert_rewrite("tests.harness")
