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


ITEM: list[pytest.Item] = []


def _refuse(connection: Connection) -> None:
    if not ITEM or not ITEM[0].config.stash[REDIRECT].is_of_test(connection):
        return
    if connection.exec_driver_sql(HAS_WRITTEN).scalar():
        place = place_of_call(ITEM[0].config.rootpath)
        where = f" ({place})" if place else ""
        GUARD.fires(ITEM[0], f"a connection outside of the test's transaction would have committed{where}.")
        raise IsolationError("a commit outside of the test's transaction would be real. " + OWN_DATABASE)


def pytest_configure(config: pytest.Config) -> None:
    event.listen(Engine, "commit", _refuse)
    config.add_cleanup(lambda: event.remove(Engine, "commit", _refuse))


@contextmanager
def _refusing(item: pytest.Item) -> Iterator[None]:
    if item.get_closest_marker("own_database") is None:
        ITEM.append(item)
    try:
        yield
    finally:
        ITEM.clear()


GUARD = Guard(
    "rows",
    why="the rows stay, and whichever test comes next finds them.",
    instead=OWN_DATABASE.partition(". ")[2],
    call=_refusing,
)
