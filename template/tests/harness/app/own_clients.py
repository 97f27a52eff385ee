"""Requests of the project's own clients: guards see them as requests of `client`.

A fixture of the project may create `AsyncClient(transport=ASGITransport(app=app))`. httpx calls the application in the
task of the test; here it is called in a task for each request, as by a server.
"""

from copy import copy
from functools import partial, wraps
from typing import Any

import pytest

from ..connections.process import REDIRECT
from ..core.http_clients import IN_PROCESS
from ..core.requests import REQUEST, App, start
from .started_threads import pass_on_context
from .transport import ASGITransport


class OwnApp:
    """The application of a client that the project creates."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle a request in a new task."""
        await start(self._app, scope, receive, send)


def configure(config: pytest.Config) -> None:
    pass_on_context(config)
    for transport in IN_PROCESS:
        _handle_in_task(transport, config)


def _handle_in_task(transport: Any, config: pytest.Config) -> None:
    redirect, handle = config.stash[REDIRECT], transport.handle_async_request

    @wraps(handle)
    async def handle_in_task(self: Any, request: Any) -> Any:
        # A request that the application sends to itself is a part of the request that it handles.
        if not isinstance(self, ASGITransport) and redirect.is_listening and REQUEST.get() is None:
            # A copy, since requests may be gathered.
            app, self = self.app, copy(self)
            self.app = OwnApp(app)
        return await handle(self, request)

    transport.handle_async_request = handle_in_task
    config.add_cleanup(partial(setattr, transport, "handle_async_request", handle))
