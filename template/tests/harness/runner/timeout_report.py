"""The message of a timeout: where the test stopped, its unfinished requests and tasks, and its database activity."""

import asyncio
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ..connections.process import REDIRECT
from ..core.network_access import NETWORK_ACCESS
from ..core.requests import ACTIVE_REQUESTS
from ..core.source_lines import is_of_project, place_of_call
from ..database.server import USED
from ..database.statements import shortened
from ..transaction.refusals import OWN_DATABASE, NoTestDatabaseError

# The statement of each active connection; if it waits for a lock, the state and the last statement of the holder.
ACTIVITY = """
SELECT busy.query, holder.state, holder.query
FROM pg_stat_activity AS busy
LEFT JOIN pg_stat_activity AS holder ON holder.pid = ANY (pg_blocking_pids(busy.pid))
WHERE busy.datname = %s AND busy.state = 'active'
"""

# Literals are removed, since they may be secrets.
LITERAL = re.compile(r"'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$", re.S)


ENDLESS = (
    " The response has begun but does not end. Read an endless response with "
    '`async with client.stream("GET", …) as response:`.'
)


def timeout_message(
    item: pytest.Item,
    phase: str,
    seconds: float,
    awaited: object,
    tasks: Iterable[asyncio.Task[Any]],
    *,
    is_awaiting: bool,
) -> str:
    """The message for a test that has reached its time limit.

    Args:
        phase: of the test, such as "setup of "; "" for the test function.
        seconds: the limit.
        awaited: the coroutine or the generator of the test or the fixture, if it is async.
        tasks: the tasks that the test has started.
        is_awaiting: whether the event loop waits; if not, code blocks it.
    """
    root = item.config.rootpath
    lines = [f"{phase}{item.name} timed out after {seconds:g} s."]
    places = [_innermost(awaited, root), place_of_call(root)]
    if place := next(filter(None, places if is_awaiting else reversed(places)), None):
        lines.append(f"Stopped at {place}.")
    for request in ACTIVE_REQUESTS:
        lines.append(f"Unfinished request: {request}{_at(request.task, root)}.{ENDLESS if request.status else ''}")
    requests = {request.task for request in ACTIVE_REQUESTS}
    for task in tasks:
        if not task.done() and task not in requests and (where := _at(task, root)):
            lines.append(f"Unfinished task: {task.get_name()}{where}.")
    lines += _waiting(item.config, root)
    lines += _database(item.config)
    lines.append(
        "Change the limit: test_timeout_seconds = 300 under [tool.savepoint] in pyproject.toml; 0 is no limit."
    )
    return "\n".join(lines)


def _at(task: object, root: Path) -> str:
    place = _innermost(task.get_coro(), root) if isinstance(task, asyncio.Task) else None
    return f", at {place}" if place else ""


def _innermost(awaited: object, root: Path) -> str | None:
    """The innermost line of the project's own code in a chain of awaits."""
    place = None
    for frame in _frames(awaited):
        path = Path(frame.f_code.co_filename)
        if is_of_project(path, root):
            place = f"{path.relative_to(root)}:{frame.f_lineno}, in {frame.f_code.co_name}"
    return place


def _frames(awaited: object) -> Iterator[Any]:
    # Of a coroutine, an async generator or a generator, and of the object that each of them awaits.
    while awaited is not None:
        kind = next((kind for kind in ("cr", "ag", "gi") if hasattr(awaited, f"{kind}_frame")), None)
        if kind is None:
            return
        if (frame := getattr(awaited, f"{kind}_frame")) is not None:
            yield frame
        awaited = getattr(awaited, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")


def _waiting(config: pytest.Config, root: Path) -> list[str]:
    """Tasks of the lifespan that wait for the end of a transaction of the test."""
    return [
        f"Waiting transaction: {logical.name} of the lifespan{_at(logical.task, root)}, until {owner.name} commits or "
        f"rolls back its uncommitted changes. {OWN_DATABASE}"
        for logical, owner in config.stash[REDIRECT].shared.waiting.items()
        if owner.task is not None
    ]


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
        return [f"Database activity: unknown, {' '.join(str(error).split())}"]
    lines = []
    for query, state, holder in found:
        waits = ""
        if holder is not None:
            waits = f'\n  waits for a lock held by a connection in state "{state}" after: {_shown(holder)}'
        lines.append(f"Database activity: {_shown(query)}{waits}")
    return lines


def _shown(query: str) -> str:
    return shortened(LITERAL.sub("'…'", query))
