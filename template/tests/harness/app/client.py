"""HTTP clients that speak to the application in this process, on the test's own event loop.

They pass on the state of the lifespan that runs. An exception that the application does not handle reaches the test
with its traceback; a test of a 500 asks for a client that answers as the server would.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from typing import Any, Protocol

import pytest
from httpx import AsyncClient

from ..core.requests import start
from .lifespan import RunningApp
from .transport import ASGITransport


class NewClient(Protocol):
    """`german = await new_client(headers={"Accept-Language": "de"})`: a client that shares nothing with another."""

    async def __call__(
        self, *, headers: Mapping[str, str] | None = None, raise_app_exceptions: bool = True
    ) -> AsyncClient: ...


class Served:
    """The application as a server sees it, in ASGI: with the lifespan's state, and a task for each request."""

    def __init__(self, running_app: RunningApp) -> None:
        self._running = running_app

    def start(self, scope: Any, receive: Any, send: Any) -> asyncio.Task[None]:
        """Handle a request in a task of its own."""
        # As a server does: each request gets a shallow copy of what the lifespan yielded.
        scope["state"] = self._running.state.copy()
        return start(self._running.app, scope, receive, send)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.start(scope, receive, send)


@pytest.fixture
def asgi_app(running_app: RunningApp, _isolated: Callable[[], None]) -> Served:
    """The application as a server sees it, in ASGI, with the guards around each request."""
    _isolated()
    return Served(running_app)


@pytest.fixture
def new_client(running_app: RunningApp, _isolated: Callable[[], None]) -> Iterator[NewClient]:
    """Makes clients, each with headers and cookies of its own, and closes them when the test ends."""
    _isolated()
    asgi_app = Served(running_app)
    overrides = running_app.app.dependency_overrides
    overrides_before = dict(overrides)
    with ExitStack() as clients:
        # Whatever happens: an override that outlives its test changes the tests after it.
        clients.callback(overrides.update, overrides_before)
        clients.callback(overrides.clear)

        async def make(*, headers: Mapping[str, str] | None = None, raise_app_exceptions: bool = True) -> AsyncClient:
            transport = ASGITransport(asgi_app, raise_app_exceptions=raise_app_exceptions)
            client = AsyncClient(transport=transport, base_url="http://test", headers=headers)
            clients.callback(_close, client)
            return await client.__aenter__()

        yield make


def _close(client: AsyncClient) -> None:
    # It waits for nothing, since its transport has no connection: an event loop would only be woken for it.
    with suppress(StopIteration):
        client.aclose().send(None)


@pytest.fixture
async def client(anyio_backend: str, new_client: NewClient) -> AsyncClient:
    """A client that sends nothing but what the test says."""
    return await new_client()
