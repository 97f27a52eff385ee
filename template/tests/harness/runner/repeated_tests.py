"""What a test has left in its stash is deleted before it runs again: pytest-rerunfailures may repeat it."""

from typing import Any

import pytest

from ..core import findings
from ..database import isolation, own_database
from ..guards import base, outcome

OF_ONE_RUN: tuple[pytest.StashKey[Any], ...] = (
    base.FIRED,
    outcome.LET_BE,
    outcome.OUTCOME,
    findings.FINDINGS,
    isolation.IS_REPORTED,
    own_database.HAS_FAILED,
)


def forget(item: pytest.Item) -> None:
    """Delete what an earlier run of the test has left."""
    for key in OF_ONE_RUN:
        if key in item.stash:
            del item.stash[key]
