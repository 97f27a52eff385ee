"""Guard: the application has no open transaction while it waits for another service.

Covered: requests of the clients of httpx and httpx2, mocked or not. Only sessions of the same task and the same request
count: a background task does not delay the response. In a thread, all sessions of the request count until its response
starts.
"""

import asyncio
import functools
from typing import Any

import pytest

from ..app.sessions import active_sessions
from ..core.http_clients import ASYNC_CLIENTS, CLIENTS, IN_PROCESS
from ..core.requests import REQUEST
from ..core.source_lines import place_of_call
from .base import CurrentTest, Guard

CURRENT_TEST = CurrentTest()


def configure(config: pytest.Config) -> None:
    # A method of the class, not a transport: libraries that mock httpx replace the transports.
    for client in ASYNC_CLIENTS:
        _replace(client, _checking(client.send, config), config)
    for client in CLIENTS:
        _replace(client, _checking_blocking(client.send, config), config)


def _checking(send: Any, config: pytest.Config) -> Any:
    @functools.wraps(send)
    async def check_and_send(self: Any, request: Any, **options: Any) -> Any:
        # An application in this process is no other service.
        if CURRENT_TEST.is_guarded and not isinstance(self._transport, IN_PROCESS):
            _check(request.url.host, config)
        return await send(self, request, **options)

    return check_and_send


def _checking_blocking(send: Any, config: pytest.Config) -> Any:
    @functools.wraps(send)
    def check_and_send(self: Any, request: Any, **options: Any) -> Any:
        # A test's own client calls the application outside of a request: Starlette's TestClient.
        if CURRENT_TEST.is_guarded and (handled := REQUEST.get()) is not None and handled.status is None:
            _check(request.url.host, config)
        return send(self, request, **options)

    return check_and_send


def _replace(client: Any, send: Any, config: pytest.Config) -> None:
    config.add_cleanup(functools.partial(setattr, client, "send", client.send))
    client.send = send


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
