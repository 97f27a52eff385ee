"""Guard: while somebody else's server is asked, no transaction is open.

A slow answer would hold a connection and its locks, and ten of them the whole pool.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpx
import pytest

from .guards import Guard
from .places import place_of_call
from .savepoint import OUTER_TRANSACTION

ITEM: ContextVar[pytest.Item | None] = ContextVar("item", default=None)

PATCH = pytest.MonkeyPatch()


def pytest_configure() -> None:
    send = httpx.AsyncClient.send

    async def watched(client: httpx.AsyncClient, request: httpx.Request, **options: Any) -> httpx.Response:
        if (item := ITEM.get()) is not None:
            _look(item, client, request)
        return await send(client, request, **options)

    PATCH.setattr(httpx.AsyncClient, "send", watched)


def pytest_unconfigure() -> None:
    PATCH.undo()


def _look(item: pytest.Item, client: httpx.AsyncClient, request: httpx.Request) -> None:
    outer = item.stash.get(OUTER_TRANSACTION, None)
    # A client of the application itself, in this process, is no server that answers slowly.
    if outer is None or not outer.has_sessions or isinstance(getattr(client, "_transport", None), httpx.ASGITransport):
        return
    place = place_of_call(item.config.rootpath)
    where = f" ({place})" if place else ""
    GUARD.fires(item, f"{request.url.host} was asked while a session had a transaction open{where}.")


@contextmanager
def _watching(item: pytest.Item) -> Iterator[None]:
    before = ITEM.set(item)
    try:
        yield
    finally:
        ITEM.reset(before)


GUARD = Guard(
    "waiting",
    why="a slow answer holds a connection and its locks, and ten of them all connections that there are.",
    instead="commit before you ask, and begin anew with the answer.",
    request=_watching,
)
