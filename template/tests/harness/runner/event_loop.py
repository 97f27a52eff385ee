"""One event loop for everything: fixtures of every scope, tests, and the application between them.

AnyIO's plugin owns the loop. It closes the loop as soon as no async fixture or test holds it, so a session fixture
holds it until the run ends; engines, pools and the application's own tasks can then live as long as the run.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest

from ..connections.redirect import Redirect


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop's library: asyncio, the one that asyncpg supports."""
    return "asyncio"


@pytest.fixture(scope="session")
async def _event_loop_held(anyio_backend: str, _redirect: Redirect) -> AsyncIterator[None]:
    """Keeps the loop open for the whole run; every session-scoped async fixture of the harness asks for it."""
    _redirect.shared.loop = asyncio.get_running_loop()
    # A generator: AnyIO gives back the loop when a fixture that returns is done, and with one that yields at its end.
    yield  # noqa: PT022
