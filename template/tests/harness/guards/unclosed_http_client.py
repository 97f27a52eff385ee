"""Guard: an httpx client that the application makes for a request is closed again.

Seen are clients that code made while it handled a request, that have sent something, and that are gone unclosed. One
that is kept, for the next request, is nobody's mistake; and nor is one that was made before, by the lifespan or a test.
"""

import functools
import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..core.requests import REQUEST
from ..core.source_lines import place_of_call
from .base import Guard
from .watch import Watch

METHODS = ("__init__", "send", "aclose", "__aexit__", "close", "__exit__")


@dataclass
class Made:
    """A client that was made for a request.

    Attributes:
        what: is said of it if it is thrown away.
        gone: calls back when nobody has the client any more.
        has_sent: whether it has ever had a connection to close.
    """

    what: str
    gone: weakref.ref[Any]
    has_sent: bool = False


class Clients:
    """The clients that the application has made for requests of one test, and not closed yet.

    Args:
        root: the project's folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: dict[int, Made] = {}

    def see(self, method: str, client: Any) -> None:
        """Hear of a method that is called."""
        key = id(client)
        if method == "__init__":
            request = REQUEST.get()
            if WATCH.is_on and request is not None:
                place = place_of_call(self._root)
                what = f"a client that was made for {request} was thrown away unclosed."
                gone = weakref.ref(client, lambda _: self._is_gone(key))
                self._made[key] = Made(f"{what}\n  {place}" if place else what, gone)
        elif key in self._made:
            if method == "send":
                self._made[key].has_sent = True
            else:
                del self._made[key]

    def end(self) -> None:
        """The test is over: what it leaves is gone now, or kept."""
        if any(made.has_sent for made in self._made.values()):
            # It may be part of a cycle, and wait for the collector.
            gc.collect()
        self._made.clear()

    def _is_gone(self, key: int) -> None:
        made = self._made.pop(key, None)
        if made is not None and made.has_sent:
            WATCH.fires(GUARD, made.what, "")


WATCH = Watch()
CLIENTS = pytest.StashKey[Clients]()


@contextmanager
def _watching(item: pytest.Item) -> Iterator[None]:
    with WATCH(item):
        try:
            yield
        finally:
            item.config.stash[CLIENTS].end()


def _seen(method: Callable[..., Any], clients: Clients) -> Callable[..., Any]:
    @functools.wraps(method)
    def see_and_call(self: Any, *arguments: Any, **options: Any) -> Any:
        clients.see(method.__name__, self)
        return method(self, *arguments, **options)

    return see_and_call


def configure(config: pytest.Config) -> None:
    config.stash[CLIENTS] = clients = Clients(config.rootpath)
    for of_httpx in (httpx.AsyncClient, httpx.Client):
        for name in METHODS:
            if name in vars(of_httpx):
                method = vars(of_httpx)[name]
                setattr(of_httpx, name, _seen(method, clients))
                config.add_cleanup(functools.partial(setattr, of_httpx, name, method))


GUARD = Guard(
    "unclosed_http_client",
    why="its connections stay open until the process ends: some hundred requests, and it may open no more.",
    instead="`async with httpx.AsyncClient() as client:`; or one client for all requests, made and closed by the "
    "lifespan, which spares each the handshake.",
    fixtures=_watching,
    formerly="unclosed_client",
)
