"""Where a test stands that does not end: in the project's code, in its requests, and in the database."""

import asyncio
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ..connections.process import REDIRECT
from ..connections.redirect import NoTestDatabaseError
from ..core.network_access import NETWORK_ACCESS
from ..core.requests import UNDER_WAY
from ..core.source_lines import is_of_project, place_of_call
from ..database.server import USED
from ..database.statements import shortened

# Of each connection that works or waits: its statement, and the state and the last statement of whoever it waits for.
ACTIVITY = """
SELECT busy.query, holder.state, holder.query
FROM pg_stat_activity AS busy
LEFT JOIN pg_stat_activity AS holder ON holder.pid = ANY (pg_blocking_pids(busy.pid))
WHERE busy.datname = %s AND busy.state = 'active'
"""

# What a statement was given as text may be a secret.
LITERAL = re.compile(r"'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$", re.S)


ENDLESS = (
    " Its answer has begun, and does not end. What has no end is read by "
    '`async with client.stream("GET", …) as response:`.'
)


def report_of(
    item: pytest.Item,
    phase: str,
    seconds: float,
    awaited: object,
    started: Iterable[asyncio.Task[Any]],
    *,
    is_awaiting: bool,
) -> str:
    """What to say of a test that is ended now.

    Args:
        phase: of the test, such as "the set-up of "; "" is the test itself.
        seconds: that it had.
        awaited: the coroutine or the generator of the test, or of the fixture, if it is async.
        started: the tasks that it has started.
        is_awaiting: whether the event loop waits, and no code blocks it.
    """
    root = item.config.rootpath
    lines = [f"{phase}{item.name} has not ended after {seconds:g} s, and was ended."]
    places = [_innermost(awaited, root), place_of_call(root)]
    if place := next(filter(None, places if is_awaiting else reversed(places)), None):
        lines.append(f"It stands at {place}.")
    for request in UNDER_WAY:
        lines.append(f"Under way: {request}{_at(request.task, root)}.{ENDLESS if request.status else ''}")
    requests = {request.task for request in UNDER_WAY}
    for task in started:
        if not task.done() and task not in requests and (where := _at(task, root)):
            lines.append(f"Under way: task {task.get_name()}{where}.")
    lines += _database(item.config)
    lines.append(
        "If it needs more time: test_timeout_seconds = 300 under [tool.savepoint] of pyproject.toml; 0: no limit."
    )
    return "\n".join(lines)


def _at(task: asyncio.Task[Any] | None, root: Path) -> str:
    place = None if task is None else _innermost(task.get_coro(), root)
    return f", at {place}" if place else ""


def _innermost(awaited: object, root: Path) -> str | None:
    """The last line of the project's own that waits, for what stands below it."""
    place = None
    for frame in _frames(awaited):
        path = Path(frame.f_code.co_filename)
        if is_of_project(path, root):
            place = f"{path.relative_to(root)}:{frame.f_lineno}, in {frame.f_code.co_name}"
    return place


def _frames(awaited: object) -> Iterator[Any]:
    # A coroutine, an async generator or a generator, and what each of them awaits.
    while awaited is not None:
        kind = next((kind for kind in ("cr", "ag", "gi") if hasattr(awaited, f"{kind}_frame")), None)
        if kind is None:
            return
        if (frame := getattr(awaited, f"{kind}_frame")) is not None:
            yield frame
        awaited = getattr(awaited, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")


def _database(config: pytest.Config) -> list[str]:
    server = config.stash.get(USED, None)
    if server is None:
        return []
    try:
        database = config.stash[REDIRECT].database()
    except NoTestDatabaseError:
        return []
    try:
        with config.stash[NETWORK_ACCESS].unchecked(), server.connect() as connection:
            found = connection.execute(ACTIVITY, [database.database]).fetchall()
    except (psycopg.Error, OSError) as error:
        return [f"The database does not say what it waits for: {' '.join(str(error).split())}"]
    lines = []
    for query, state, holder in found:
        waits = (
            "" if holder is None else f"\n  waits for a lock of a connection that is {state} after: {_shown(holder)}"
        )
        lines.append(f"In the database: {_shown(query)}{waits}")
    return lines


def _shown(query: str) -> str:
    return shortened(LITERAL.sub("'…'", query))
