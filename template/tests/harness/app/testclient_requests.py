"""Requests of Starlette's TestClient in a synchronous application: guards see them as requests of `client`.

TestClient runs the application in the event loop of another thread, and its synchronous routes in a third.
"""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest

from ..connections.process import REDIRECT
from ..core.actor import current_actor
from ..core.requests import REQUEST, SENDER, handle

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
    config.stash[IS_TRACKED] = True
    redirect, transport = config.stash[REDIRECT], sys.modules[MODULE]._TestClientTransport
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
