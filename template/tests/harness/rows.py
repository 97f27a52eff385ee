"""Guard: a savepoint test commits nothing for real, by whatever connection.

The test's own connection refuses every commit. Another one, of `engine`, of an engine that the application has made, or
in a thread, would leave its rows to all tests after it: a commit there is refused too, if there is something to commit.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, Engine, event

from .guards import Guard
from .places import place_of_call
from .redirect import REDIRECT
from .refusals import OWN_DATABASE
from .transaction import IsolationError

# NULL unless the transaction has written something.
HAS_WRITTEN = "SELECT pg_current_xact_id_if_assigned() IS NOT NULL"


@contextmanager
def _refusing(item: pytest.Item) -> Iterator[None]:
    if item.get_closest_marker("own_database") is not None:
        yield
        return

    def refuse(connection: Connection) -> None:
        if (
            not item.config.stash[REDIRECT].is_of_test(connection)
            or not connection.exec_driver_sql(HAS_WRITTEN).scalar()
        ):
            return
        place = place_of_call(item.config.rootpath)
        where = f" ({place})" if place else ""
        GUARD.fires(
            item, f"a connection outside of the test's transaction was about to commit{where}, and was refused."
        )
        raise IsolationError("a commit outside of the test's transaction would be real. " + OWN_DATABASE)

    event.listen(Engine, "commit", refuse)
    try:
        yield
    finally:
        event.remove(Engine, "commit", refuse)


GUARD = Guard(
    "rows",
    why="the rows stay, and whichever test comes next finds them.",
    instead=OWN_DATABASE.partition(". ")[2],
    call=_refusing,
)
