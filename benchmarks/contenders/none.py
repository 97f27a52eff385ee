"""No isolation at all: the floor. Each test commits for real, a row of its own."""

from itertools import count

import pytest

pytest_plugins = ["tests.service"]

NUMBERS = count()


@pytest.fixture
def email(schema: None) -> str:
    """Another one in each test, since nothing is undone."""
    return f"ada{next(NUMBERS)}@example.com"
