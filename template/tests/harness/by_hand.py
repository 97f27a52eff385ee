"""Connections by hand in a savepoint test are refused, since they would be outside of its transaction.

A test with a database of its own has them there. Fixtures of a wider scope are set up before this, and end after it:
theirs go to the worker's database.
"""

from collections.abc import Iterator

import pytest

from .redirect import OF_PROCESS
from .refusals import BY_HAND


@pytest.fixture(autouse=True)
def connections_by_hand(request: pytest.FixtureRequest) -> Iterator[None]:
    """Refuses a savepoint test, its fixtures among it, connections outside of its transaction."""
    is_allowed = request.node.get_closest_marker("own_database") is not None
    with OF_PROCESS.refusing(None if is_allowed else BY_HAND):
        yield
