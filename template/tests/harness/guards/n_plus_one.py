"""Guard: no request sends the same SELECT many times (N+1).

Statements are counted per request, by their SQL without parameters; the statements of the test itself do not count. A
question that is asked again in another transaction, until a job is done, is counted once. Correct code sends the same
SELECT fewer than five times: to identify the user, to check permissions, after a write.
`selectinload` sends one for all rows. The test needs at least as many rows as `n_plus_one_threshold`.
"""

from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import Engine, event

from ..core.requests import ON_REQUEST_END, REQUEST, Request, Select
from ..core.settings import settings_of
from ..core.source_lines import place_of_call
from ..database.statements import shortened
from .base import CurrentTest, Guard

CURRENT_TEST = CurrentTest()


class _Counter:
    """Counts the statements of requests.

    Args:
        limit: the number of times at which the guard fires.
        config: of pytest, with the project's folder.
    """

    def __init__(self, limit: int, config: pytest.Config) -> None:
        self._limit = limit
        self._root = config.rootpath
        self._places: dict[tuple[Request, str], str | None] = {}

    def count(
        self, connection: object, cursor: object, sql: str, parameters: object, context: object, executemany: bool
    ) -> None:
        """Listen to `before_cursor_execute`; the stack is read only when a statement reaches the limit."""
        # A SELECT without FROM reads no rows: a sequence, an advisory lock, a setting.
        if (
            (request := REQUEST.get()) is None
            or not CURRENT_TEST.is_guarded
            or sql.lstrip()[:6].upper() != "SELECT"
            or "FROM" not in sql.upper()
        ):
            return
        asked = request.selects.setdefault(sql, Select())
        key = hash(repr(parameters))
        if asked.transactions.setdefault(key, request.transactions) != request.transactions:
            return
        asked.count += 1
        if asked.count == self._limit:
            self._places[request, sql] = place_of_call(self._root)

    def end(self, connection: object) -> None:
        """Listen to the ends of transactions."""
        if (request := REQUEST.get()) is not None:
            request.transactions += 1

    def check(self, request: Request) -> None:
        """Check a request that has ended."""
        for key in [key for key in self._places if key[0] is request]:
            place, sql = self._places.pop(key), key[1]
            lines = [f"{request} sent the same SELECT {request.selects[sql].count} times:", f"  {shortened(sql)}"]
            lines += [f"    {place}"] if place else []
            CURRENT_TEST.fires(GUARD, "\n".join(lines), str(request))


def configure(config: pytest.Config) -> None:
    counter = _Counter(settings_of(config).n_plus_one_threshold, config)
    listeners: dict[str, Callable[..., None]] = {
        "before_cursor_execute": counter.count,
        "commit": counter.end,
        "rollback": counter.end,
    }
    for name, listener in listeners.items():
        event.listen(Engine, name, listener)
        config.add_cleanup(partial(event.remove, Engine, name, listener))
    ON_REQUEST_END.append(counter.check)
    config.add_cleanup(lambda: ON_REQUEST_END.remove(counter.check))


GUARD = Guard(
    "n_plus_one",
    why="The number of queries grows with the number of rows: 5 ms in a test can be seconds in production.",
    instead="Load all rows with one query: `selectinload(...)`, a JOIN, or `WHERE ... IN (...)`. To allow more queries "
    "everywhere: n_plus_one_threshold = 10 under [tool.savepoint] in pyproject.toml.",
    fixtures=CURRENT_TEST,
)
