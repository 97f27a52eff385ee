"""HTTP clients that speak to the application in this process, in the test's own task.

They pass on the state of the lifespan that runs. An exception that the application does not handle reaches the test
with its traceback; a test of a 500 asks for a client that answers as the server would.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Any, Protocol

import pytest
from httpx import ASGITransport, AsyncClient

from .guards import around_request
from .handled import App, handle
from .lifespan import RunningApp


class NewClient(Protocol):
    """`german = await new_client(headers={"Accept-Language": "de"})`: a client that shares nothing with another."""

    async def __call__(
        self, *, headers: Mapping[str, str] | None = None, raise_app_exceptions: bool = True
    ) -> AsyncClient: ...


@pytest.fixture
def with_state(running_app: RunningApp, isolated: None, request: pytest.FixtureRequest) -> App:
    """The application as a server sees it, in ASGI, with the guards around each request."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        # As a server does: each request gets a shallow copy of what the lifespan yielded.
        scope["state"] = running_app.state.copy()
        with around_request(request.node):
            await handle(running_app.app, scope, receive, send)

    return serve


@pytest.fixture
async def new_client(anyio_backend: str, running_app: RunningApp, with_state: App) -> AsyncIterator[NewClient]:
    """Makes clients, each with headers and cookies of its own, and closes them when the test ends."""
    overrides = running_app.app.dependency_overrides
    overrides_before = dict(overrides)
    try:
        async with AsyncExitStack() as clients:

            async def make(
                *, headers: Mapping[str, str] | None = None, raise_app_exceptions: bool = True
            ) -> AsyncClient:
                transport = ASGITransport(with_state, raise_app_exceptions=raise_app_exceptions)
                client = AsyncClient(transport=transport, base_url="http://test", headers=headers)
                return await clients.enter_async_context(client)

            yield make
    finally:
        # An override that outlives its test changes the tests after it.
        overrides.clear()
        overrides.update(overrides_before)


@pytest.fixture
async def client(anyio_backend: str, new_client: NewClient) -> AsyncClient:
    """A client that sends nothing but what the test says."""
    return await new_client()
