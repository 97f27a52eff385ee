"""Guard: in a savepoint test, every connection is part of the test's transaction.

A connection of a synchronous engine beside asynchronous ones, of another thread or another event loop cannot be part
of it. It would not see the test's rows, and its own rows would stay for later tests. It is refused when it connects,
unless the test allows it.
"""

from contextlib import AbstractContextManager, nullcontext

import pytest

from ..connections.process import REDIRECT
from ..transaction.refusals import NARROWER, OWN_DATABASE, IsolationError
from .base import CurrentTest, Guard

CURRENT_TEST = CurrentTest()


def configure(config: pytest.Config) -> None:
    redirect = config.stash[REDIRECT]

    def refuse(why: str) -> Exception | None:
        if redirect.shared.transactions.mode == "outside":
            return IsolationError(f"{why.replace('in a savepoint test', 'outside of a test')} {NARROWER}")
        if CURRENT_TEST.is_guarded:
            CURRENT_TEST.fires(GUARD, why, "")
        elif redirect.shared.transactions.mode == "test":
            # The guard is off, or the test allows it.
            return None
        return IsolationError(f"{why} {OWN_DATABASE}")

    redirect.engine_refusal = refuse


def _refusing(item: pytest.Item) -> AbstractContextManager[None]:
    return CURRENT_TEST(item) if GUARD.applies_to(item) else nullcontext()


GUARD = Guard(
    "escaped_commit",
    why="The connection does not see the test's rows, and its own rows stay for later tests.",
    instead="Mark the test with @pytest.mark.own_database: it gets its own database with real connections and commits.",
    fixtures=_refusing,
    formerly="rows",
    # It would connect, and its rows stay.
    can_be_known=False,
)
