"""Connections by hand in a savepoint test are refused, since they would be outside of its transaction.

A test with a database of its own has them there, and so has what tests share, on the worker's database.
"""

from collections.abc import Generator, Iterator
from contextlib import nullcontext

import pytest

from .redirect import OF_PROCESS
from .refusals import BY_HAND


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object]) -> Generator[None, object, object]:
    """What tests share may connect by hand: it is set up in a test, and is no part of it."""
    with nullcontext() if fixturedef.scope == "function" else OF_PROCESS.refusing(None):
        return (yield)


@pytest.fixture(autouse=True)
def connections_by_hand(request: pytest.FixtureRequest) -> Iterator[None]:
    """Refuses a savepoint test, its fixtures among it, connections outside of its transaction."""
    is_allowed = request.node.get_closest_marker("own_database") is not None
    with OF_PROCESS.refusing(None if is_allowed else BY_HAND):
        yield
