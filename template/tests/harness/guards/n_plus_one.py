"""Guard: no request sends the same SELECT again and again (N+1), which the three rows of a test do not show.

Statements are counted by their text, parameters left out, request by request: what a test itself does in a loop is no
concern of anybody's. Five is more than right code sends: one for who asks, one or two for rights, one more after a
write; and `selectinload` sends one for all rows. The rows of the test must be as many for a loop to be seen.
"""

import pytest
from sqlalchemy import Engine, event

from ..core.requests import AT_END, REQUEST, Request
from ..core.settings import settings_of
from ..core.source_lines import place_of_call
from ..database.statements import shortened
from .base import Guard
from .watch import Watch

WATCH = Watch()


class _Counter:
    """Counts the statements of requests.

    Args:
        limit: how often is too often.
        config: pytest's, which knows where the project is.
    """

    def __init__(self, limit: int, config: pytest.Config) -> None:
        self._limit = limit
        self._root = config.rootpath
        self._places: dict[tuple[Request, str], str | None] = {}

    def count(
        self, connection: object, cursor: object, sql: str, parameters: object, context: object, executemany: bool
    ) -> None:
        """Listen to `before_cursor_execute`; a stack is looked at once a text has come too often, and not before."""
        if (request := REQUEST.get()) is None:
            return
        count = request.sent[sql] = request.sent.get(sql, 0) + 1
        # Without FROM it reads no row: a sequence, an advisory lock, a setting.
        if count == self._limit and WATCH.is_on and sql.lstrip()[:6].upper() == "SELECT" and "FROM" in sql.upper():
            self._places[request, sql] = place_of_call(self._root)

    def look(self, request: Request) -> None:
        """Complain of a request that is over."""
        for key in [key for key in self._places if key[0] is request]:
            place, sql = self._places.pop(key), key[1]
            lines = [f"{request} sent one SELECT {request.sent[sql]} times:", f"  {shortened(sql)}"]
            lines += [f"    {place}"] if place else []
            WATCH.fires(GUARD, "\n".join(lines), str(request))


def configure(config: pytest.Config) -> None:
    counter = _Counter(settings_of(config).n_plus_one_threshold, config)
    event.listen(Engine, "before_cursor_execute", counter.count)
    config.add_cleanup(lambda: event.remove(Engine, "before_cursor_execute", counter.count))
    AT_END.append(counter.look)
    config.add_cleanup(lambda: AT_END.remove(counter.look))


GUARD = Guard(
    "n_plus_one",
    why="the number of queries grows with the rows: what takes 5 ms in a test takes seconds in production.",
    instead="read all rows by one query: `selectinload(...)`, a JOIN, or `WHERE ... IN (...)`. If so many are right "
    "everywhere, n_plus_one_threshold = 10 under [tool.savepoint] of pyproject.toml.",
    fixtures=WATCH,
)
