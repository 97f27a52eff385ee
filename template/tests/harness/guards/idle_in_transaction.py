"""Guard: the application has no open transaction while it waits for another service.

Covered: requests of httpx's clients, mocked or not. Only sessions of the same task and the same request count: a
background task does not delay the response. In a thread, all sessions of the request count until its response starts.
"""

import asyncio
import functools
from typing import Any

import httpx
import pytest

from ..app.sessions import active_sessions
from ..core.requests import REQUEST
from ..core.source_lines import place_of_call
from .base import CurrentTest, Guard

CURRENT_TEST = CurrentTest()


def configure(config: pytest.Config) -> None:
    # A method of the class, not a transport: libraries that mock httpx replace the transports.
    send = httpx.AsyncClient.send

    @functools.wraps(send)
    async def check_and_send(self: httpx.AsyncClient, request: httpx.Request, **options: Any) -> httpx.Response:
        # An application in this process is no other service.
        if CURRENT_TEST.is_guarded and not isinstance(self._transport, httpx.ASGITransport):
            _check(request.url.host, config)
        return await send(self, request, **options)

    httpx.AsyncClient.send = check_and_send  # type: ignore[method-assign]  # no event comes this early
    config.add_cleanup(lambda: setattr(httpx.AsyncClient, "send", send))
    send_now = httpx.Client.send

    @functools.wraps(send_now)
    def check_and_send_now(self: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        # A test's own client calls the application outside of a request: Starlette's TestClient.
        if CURRENT_TEST.is_guarded and (handled := REQUEST.get()) is not None and handled.status is None:
            _check(request.url.host, config)
        return send_now(self, request, **options)

    httpx.Client.send = check_and_send_now  # type: ignore[method-assign]
    config.add_cleanup(lambda: setattr(httpx.Client, "send", send_now))


def _check(host: str, config: pytest.Config) -> None:
    task = asyncio.current_task() if asyncio._get_running_loop() is not None else None
    if any(activity.task is task for _, activity in active_sessions(REQUEST.get())):
        place = place_of_call(config.rootpath)
        what = f"a request to {host} was sent while a session of the application was in a transaction"
        CURRENT_TEST.fires(GUARD, f"{what}:\n  {place}" if place else f"{what}.", host)


GUARD = Guard(
    "idle_in_transaction",
    why="An open transaction keeps a connection and its locks: a slow service exhausts the connection pool.",
    instead="Call `await session.commit()` before the request, and begin a new transaction after it.",
    fixtures=CURRENT_TEST,
    formerly="waiting",
)
