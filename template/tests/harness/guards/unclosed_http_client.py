"""Guard: the application closes an httpx client that it creates in a request.

It fires when a client that was created in a request and has sent something is garbage-collected unclosed. Clients
reused across requests or created in the lifespan are ignored.
"""

import functools
import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ..core.http_clients import ASYNC_CLIENTS
from ..core.http_clients import CLIENTS as BLOCKING_CLIENTS
from ..core.requests import REQUEST
from ..core.source_lines import place_of_call
from .base import CurrentTest, Guard

METHODS = ("__init__", "send", "aclose", "__aexit__", "close", "__exit__")


@dataclass
class Created:
    """A client that was created in a request.

    Attributes:
        message: for the case that it is not closed.
        reference: calls back when the client is garbage-collected.
        has_sent: whether it has sent a request, so that there is a connection to close.
    """

    message: str
    reference: weakref.ref[Any]
    has_sent: bool = False


class Clients:
    """The unclosed clients that the application has created in requests of one test.

    Args:
        root: the project's folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._created: dict[int, Created] = {}

    def on_call(self, method: str, client: Any) -> None:
        """Handle the call of a method of a client."""
        key = id(client)
        if method == "__init__":
            request = REQUEST.get()
            if CURRENT_TEST.is_guarded and request is not None:
                place = place_of_call(self._root)
                what = f"{request} created an httpx client and did not close it"
                reference = weakref.ref(client, lambda _: self._on_collected(key))
                self._created[key] = Created(f"{what}:\n  {place}" if place else f"{what}.", reference)
        elif key in self._created:
            if method == "send":
                self._created[key].has_sent = True
            else:
                del self._created[key]

    def end(self) -> None:
        """Handle the end of the test: clients that are still referenced are ignored."""
        if any(client.has_sent for client in self._created.values()):
            # A client in a reference cycle waits for the garbage collector.
            gc.collect()
        self._created.clear()

    def _on_collected(self, key: int) -> None:
        client = self._created.pop(key, None)
        if client is not None and client.has_sent:
            CURRENT_TEST.fires(GUARD, client.message, "")


CURRENT_TEST = CurrentTest()
CLIENTS = pytest.StashKey[Clients]()


@contextmanager
def _watching(item: pytest.Item) -> Iterator[None]:
    with CURRENT_TEST(item):
        try:
            yield
        finally:
            item.config.stash[CLIENTS].end()


def _observed(method: Callable[..., Any], clients: Clients) -> Callable[..., Any]:
    @functools.wraps(method)
    def notify_and_call(self: Any, *arguments: Any, **options: Any) -> Any:
        clients.on_call(method.__name__, self)
        return method(self, *arguments, **options)

    return notify_and_call


def configure(config: pytest.Config) -> None:
    config.stash[CLIENTS] = clients = Clients(config.rootpath)
    for of_httpx in (*ASYNC_CLIENTS, *BLOCKING_CLIENTS):
        for name in METHODS:
            if name in vars(of_httpx):
                method = vars(of_httpx)[name]
                setattr(of_httpx, name, _observed(method, clients))
                config.add_cleanup(functools.partial(setattr, of_httpx, name, method))


GUARD = Guard(
    "unclosed_http_client",
    why="Its connections stay open until the process ends; after some hundred requests it can open no more.",
    instead="Use `async with httpx.AsyncClient() as client:`, or one client for all requests, created and closed in "
    "the lifespan.",
    fixtures=_watching,
    formerly="unclosed_client",
)
