"""Requests and lifespan of Starlette's TestClient in a synchronous application.

TestClient runs the application in the event loop of another thread, and its synchronous routes in a third. Guards see
its requests as those of `client`. Tasks and threads that its lifespan has started belong to no test: between startup
and shutdown, their statements are served between the transactions of a test, and wait for the next test.
"""

import sys
from collections.abc import Callable
from functools import partial, wraps
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from ..connections.process import REDIRECT
from ..core import private_api
from ..core.actor import current_actor
from ..core.requests import REQUEST, SENDER, handle
from ..transaction.logical_connection import IN_LIFESPAN, Serving

MODULE = "starlette.testclient"
IS_TRACKED = pytest.StashKey[bool]()


class TrackedApp:
    """The application of a TestClient."""

    def __init__(self, app: Any, is_on: Callable[[], bool]) -> None:
        self._app = app
        self._is_on = is_on

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle a request, as the context variable `REQUEST` says."""
        if REQUEST.get() is None and self._is_on():
            await handle(self._app, scope, receive, send)
        else:
            await self._app(scope, receive, send)


def track(config: pytest.Config) -> None:
    """Let the transport of every TestClient call the application as `TrackedApp`, once the class is imported."""
    if IS_TRACKED in config.stash or MODULE not in sys.modules:
        return
    # It was not imported at the start of the run.
    private_api.check(config, MODULE)
    config.stash[IS_TRACKED] = True
    redirect, transport = config.stash[REDIRECT], sys.modules[MODULE]._TestClientTransport
    _track_lifespans(config, sys.modules[MODULE].TestClient)
    handle_request = transport.handle_request

    @wraps(handle_request)
    def track_and_handle(self: Any, request: Any) -> Any:
        if not isinstance(self.app, TrackedApp):
            self.app = TrackedApp(self.app, lambda: redirect.is_synchronous)
        sender = SENDER.set(current_actor())
        try:
            return handle_request(self, request)
        finally:
            SENDER.reset(sender)

    transport.handle_request = track_and_handle
    config.add_cleanup(lambda: setattr(transport, "handle_request", handle_request))


def _track_lifespans(config: pytest.Config, client: Any) -> None:
    redirect, serving = config.stash[REDIRECT], WeakKeyDictionary[Any, Serving]()
    enter, run, leave = client.__enter__, client.lifespan, client.__exit__

    @wraps(enter)
    def track_and_enter(self: Any) -> Any:
        serving.pop(self, None)
        if redirect.is_synchronous:
            # Its tasks may connect first, and cannot begin the isolation.
            redirect.synchronous.isolate_if_needed()
            serving[self] = Serving(current_actor())
        entered = enter(self)
        if self in serving:
            serving[self].is_on = True
        return entered

    @wraps(run)
    async def run_in_context(self: Any) -> None:
        if self in serving:
            # Tasks and threads of the lifespan have this object in their contexts.
            IN_LIFESPAN.set(serving[self])
        await run(self)

    @wraps(leave)
    def serve_all_and_leave(self: Any, *error: Any) -> Any:
        if (state := serving.get(self)) is None:
            return leave(self, *error)
        if redirect.is_shared:
            # The shutdown may write, and statements that wait for the next test are part of it.
            redirect.synchronous.isolate_if_needed()
        state.is_on = False
        redirect.synchronous.wake()
        try:
            return leave(self, *error)
        finally:
            # A thread that the lifespan has left running.
            state.is_on = True

    functions = {"__enter__": track_and_enter, "lifespan": run_in_context, "__exit__": serve_all_and_leave}
    for name, function in functions.items():
        config.add_cleanup(partial(setattr, client, name, getattr(client, name)))
        setattr(client, name, function)
