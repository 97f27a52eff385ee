"""HTTP clients that call the application in this process, on the event loop of the test.

Requests get the state of the running lifespan. An unhandled exception of the application is raised in the test, with
its traceback; `new_client(raise_app_exceptions=False)` returns a 500 response instead.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from typing import Any, Protocol

import pytest

from ..core.http_clients import AsyncClient
from ..core.requests import start
from ..core.settings import settings_of
from .lifespan import RunningApp
from .transport import ASGITransport


class NewClient(Protocol):
    """`german = await new_client(headers={"Accept-Language": "de"})`: a client with its own headers and cookies."""

    async def __call__(
        self, *, headers: Mapping[str, str] | None = None, raise_app_exceptions: bool = True
    ) -> AsyncClient: ...


class ASGIApp:
    """The ASGI application, with the state of the lifespan, and with a task for each request."""

    def __init__(self, running_app: RunningApp) -> None:
        self._running = running_app

    def start(self, scope: Any, receive: Any, send: Any) -> asyncio.Task[None]:
        """Handle a request in a new task."""
        # As on a server, each request gets a shallow copy of the lifespan's state.
        scope["state"] = self._running.state.copy()
        return start(self._running.app, scope, receive, send)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.start(scope, receive, send)


class Clients(ExitStack):
    """Closes clients without an event loop: closing awaits nothing, since the transport has no connections.

    Args:
        base_url: the setting `base_url`; "" keeps the address that the client has.
    """

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._base_url = base_url

    async def enter_async_context(self, client: AsyncClient) -> AsyncClient:
        """As in `AsyncExitStack`."""
        if self._base_url:
            client.base_url = self._base_url
        self.callback(self._close, client)
        return await client.__aenter__()

    @staticmethod
    def _close(client: AsyncClient) -> None:
        with suppress(StopIteration):
            client.aclose().send(None)


@pytest.fixture
def asgi_app(running_app: RunningApp, _isolated: Callable[[], None]) -> ASGIApp:
    """The ASGI application, with the state of the lifespan, and with the guards for each request."""
    _isolated()
    return ASGIApp(running_app)


@pytest.fixture
def new_client(
    running_app: RunningApp, _isolated: Callable[[], None], pytestconfig: pytest.Config
) -> Iterator[NewClient]:
    """Creates clients, each with its own headers and cookies, and closes them after the test."""
    _isolated()
    # Its name since 0.1.0: updates merge the owner's edits of the lines in `make`.
    with_state = ASGIApp(running_app)
    overrides = running_app.app.dependency_overrides
    overrides_before = dict(overrides)
    with Clients(settings_of(pytestconfig).base_url) as clients:
        # In the exit stack: an override that stays after its test would change later tests.
        clients.callback(overrides.update, overrides_before)
        clients.callback(overrides.clear)

        async def make(*, headers: Mapping[str, str] | None = None, raise_app_exceptions: bool = True) -> AsyncClient:
            transport = ASGITransport(with_state, raise_app_exceptions=raise_app_exceptions)
            client = AsyncClient(transport=transport, base_url="http://test", headers=headers)
            return await clients.enter_async_context(client)

        yield make


@pytest.fixture
async def client(anyio_backend: str, new_client: NewClient) -> AsyncClient:
    """A client without headers or cookies of its own."""
    return await new_client()
