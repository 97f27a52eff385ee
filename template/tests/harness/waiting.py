"""Guard: while somebody else's server is asked, no transaction is open.

A slow answer would hold a connection and its locks, and ten of them the whole pool.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from .guards import Guard
from .places import place_of_call
from .savepoint import OUTER_TRANSACTION

Send = Callable[..., Awaitable[httpx.Response]]


@contextmanager
def _watching(item: pytest.Item) -> Iterator[None]:
    send: Send = httpx.AsyncClient.send

    async def watched(client: httpx.AsyncClient, request: httpx.Request, **options: Any) -> httpx.Response:
        outer = item.stash.get(OUTER_TRANSACTION, None)
        if outer is not None and outer.has_sessions and not _is_of_test(client):
            place = place_of_call(item.config.rootpath)
            where = f" ({place})" if place else ""
            GUARD.fires(item, f"{request.url.host} was asked while a session had a transaction open{where}.")
        return await send(client, request, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.AsyncClient, "send", watched)
        yield


def _is_of_test(client: httpx.AsyncClient) -> bool:
    return isinstance(getattr(client, "_transport", None), httpx.ASGITransport)


GUARD = Guard(
    "waiting",
    why="a slow answer holds a connection and its locks, and ten of them all connections that there are.",
    instead="commit before you ask, and begin anew with the answer.",
    request=_watching,
)
