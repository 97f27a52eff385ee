"""Requests of the project's own clients: guards see them as requests of `client`.

A fixture of the project may create `AsyncClient(transport=ASGITransport(app=app))`. httpx calls the application in the
task of the test; here it is called in a task for each request, as by a server.
"""

from copy import copy
from functools import partial, wraps
from typing import Any

import httpx
import pytest

from ..connections.process import REDIRECT
from ..core.requests import REQUEST, App, start
from .transport import ASGITransport


class OwnApp:
    """The application of a client that the project creates."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle a request in a new task."""
        await start(self._app, scope, receive, send)


def configure(config: pytest.Config) -> None:
    redirect, handle = config.stash[REDIRECT], httpx.ASGITransport.handle_async_request

    @wraps(handle)
    async def handle_in_task(self: httpx.ASGITransport, request: httpx.Request) -> httpx.Response:
        # A request that the application sends to itself is a part of the request that it handles.
        if not isinstance(self, ASGITransport) and redirect.is_listening and REQUEST.get() is None:
            # A copy, since requests may be gathered.
            app, self = self.app, copy(self)
            self.app = OwnApp(app)
        return await handle(self, request)

    httpx.ASGITransport.handle_async_request = handle_in_task  # type: ignore[method-assign]
    config.add_cleanup(partial(setattr, httpx.ASGITransport, "handle_async_request", handle))
