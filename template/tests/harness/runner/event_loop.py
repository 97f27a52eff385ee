"""One event loop for the whole run: fixtures of every scope, tests and the application.

AnyIO's plugin owns the loop and closes it when no async fixture or test uses it. A session fixture uses it until the
run ends, so that engines, pools and the application's tasks can live as long.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest

from ..connections.redirect import Redirect


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop's library: asyncio, since asyncpg supports no other."""
    return "asyncio"


@pytest.fixture(scope="session")
async def _event_loop_held(anyio_backend: str, _redirect: Redirect) -> AsyncIterator[None]:
    """Keeps the loop open for the whole run; every session-scoped async fixture of the harness requests it."""
    _redirect.shared.loop = asyncio.get_running_loop()
    # A generator: AnyIO releases the loop when a fixture returns, or at the teardown of a fixture that yields.
    yield  # noqa: PT022
