"""Guard: no transaction is open while the application waits for another service's answer.

Seen is what httpx's AsyncClient sends, mocked or not. What counts are sessions that the same task has begun, for the
same request: a task that was left to itself does not keep anybody waiting.
"""

import asyncio
import functools
from typing import Any

import httpx
import pytest

from ..core.requests import REQUEST
from ..core.source_lines import place_of_call
from .app_sessions import working
from .base import Guard
from .watch import Watch

WATCH = Watch()


def configure(config: pytest.Config) -> None:
    # A method of the class, and no transport, since what mocks httpx takes the place of those.
    send = httpx.AsyncClient.send

    @functools.wraps(send)
    async def look_and_send(self: httpx.AsyncClient, request: httpx.Request, **options: Any) -> httpx.Response:
        # An application that is called in this process answers at once.
        if WATCH.is_on and not isinstance(self._transport, httpx.ASGITransport):
            _look(request.url.host, config)
        return await send(self, request, **options)

    httpx.AsyncClient.send = look_and_send  # type: ignore[method-assign]  # no event comes this early
    config.add_cleanup(lambda: setattr(httpx.AsyncClient, "send", send))


def _look(host: str, config: pytest.Config) -> None:
    task = asyncio.current_task()
    if any(work.task is task for _, work in working(REQUEST.get())):
        place = place_of_call(config.rootpath)
        what = f"a request to {host} is sent while a session of the application is in a transaction."
        WATCH.fires(GUARD, f"{what}\n  {place}" if place else what, host)


GUARD = Guard(
    "idle_in_transaction",
    why="a session that has read or written keeps a connection, and its locks, until it ends: when that service is "
    "slow, a handful of requests empties the pool, and everybody waits.",
    instead="`await session.commit()` before the call, and a new transaction for what it brought.",
    fixtures=WATCH,
    formerly="waiting",
)
