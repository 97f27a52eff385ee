"""Guard: in a savepoint test, every connection is part of the test's transaction.

One that cannot be, of a synchronous engine, another thread or another event loop, would not see the test's rows, and
would leave its own to all tests after it. It is refused when it connects.
"""

import pytest

from ..connections.process import REDIRECT
from ..transaction.refusals import OWN_DATABASE, IsolationError
from .base import Guard
from .watch import Watch

WATCH = Watch()


def configure(config: pytest.Config) -> None:
    redirect = config.stash[REDIRECT]

    def refuse(why: str) -> Exception | None:
        if WATCH.is_on:
            WATCH.fires(GUARD, why, "")
        elif redirect.shared.transactions.mode == "test":
            # The guard is off, or the test allows it.
            return None
        return IsolationError(f"{why} {OWN_DATABASE}")

    redirect.other = refuse


GUARD = Guard(
    "escaped_commit",
    why="it would not see the test's rows, and its own would stay for whichever test comes next.",
    instead=OWN_DATABASE.partition(". ")[2],
    fixtures=WATCH,
    formerly="rows",
)
