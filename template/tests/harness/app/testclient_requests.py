"""Requests and lifespan of Starlette's TestClient in a synchronous application.

TestClient runs the application in the event loop of another thread, and its synchronous routes in a third. Guards see
its requests as those of `client`. Tasks that its lifespan has started belong to no test: after the startup,
their statements are served between the transactions of a test, and wait for the next test.
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
from ..transaction.logical_connection import IN_LIFESPAN

MODULE = "starlette.testclient"
IS_TRACKED = pytest.StashKey[bool]()


class Serving:
    """The value of `IN_LIFESPAN` in the lifespan of a TestClient: true after the startup."""

    def __init__(self) -> None:
        self.is_on = False

    def __bool__(self) -> bool:
        return self.is_on


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
    lifespan, wait_startup, wait_shutdown = client.lifespan, client.wait_startup, client.wait_shutdown

    @wraps(lifespan)
    async def run(self: Any) -> None:
        if redirect.is_synchronous:
            serving[self] = state = Serving()
            IN_LIFESPAN.set(state)  # type: ignore[arg-type]  # tasks of the lifespan have this object in their contexts
        await lifespan(self)

    @wraps(wait_startup)
    async def start(self: Any) -> None:
        await wait_startup(self)
        if self in serving:
            serving[self].is_on = True

    @wraps(wait_shutdown)
    async def stop(self: Any) -> None:
        if self in serving and redirect.is_shared:
            # The shutdown may write, and statements that wait for the next test are part of it.
            redirect.synchronous.isolate_if_needed()
        await wait_shutdown(self)

    for name, function in (("lifespan", run), ("wait_startup", start), ("wait_shutdown", stop)):
        config.add_cleanup(partial(setattr, client, name, getattr(client, name)))
        setattr(client, name, function)
