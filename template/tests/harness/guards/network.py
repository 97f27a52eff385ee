"""Guard: no connections and no name lookups, except for the test database and `allowed_hosts`.

Blocked even if the application swallows the error. Not covered: libpq (psycopg), uvloop, subprocesses. Unix sockets
are allowed.
"""

import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any

import pytest

from ..core.audit_hook import listen, stop_listening
from ..core.network_access import NETWORK_ACCESS, NetworkAccess
from ..core.settings import settings_of
from ..core.source_lines import place_of_call
from .base import Guard

GUARD = Guard(
    "network",
    why="A test that depends on another server fails when that server fails, and may change its data.",
    instead="Mock the service below its client library, e.g. with respx for httpx.",
    # A port may be another one in each run. What the baseline lists is not blocked.
    is_repeatable=False,
)


# A server on this machine, such as Redis in Docker.
LOOPBACK = ("localhost", "127.0.0.1", "::1")
# The fixture that mocks a host, for the message.
MOCKED_BY: dict[str, str] = {}


class NetworkBlockedError(OSError):
    """A test tried to reach an address that is not allowed."""


class Network:
    """Blocks addresses that are not allowed while a test runs."""

    def __init__(self, access: NetworkAccess) -> None:
        self._access = access
        self._item: pytest.Item | None = None
        self._blocked: set[str] = set()

    @contextmanager
    def watching(self, item: pytest.Item) -> Iterator[None]:
        """Block addresses that are not allowed while this test runs."""
        self._item, self._blocked = item, set()
        try:
            yield
        finally:
            self._item = None

    def on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Handle an audit event of a socket; raises `NetworkBlockedError`."""
        if self._item is None or not self._access.is_checked:
            return
        host, port = _address(event, arguments)
        # The host is still a name before its lookup; for a connected socket there is no host.
        if host is None or self._may_reach(self._item, host, port):
            return
        address = f"{host}:{port}" if port else host
        if address not in self._blocked:
            self._blocked.add(address)
            place = place_of_call(self._item.config.rootpath)
            where = f":\n  {place}" if place else "."
            more = f"\nThe fixture `{MOCKED_BY[host]}` mocks it." if host in MOCKED_BY else ""
            if host in LOOPBACK:
                more += f'\nIf tests need this server: allowed_hosts = ["{address}"] under [tool.savepoint].'
            GUARD.fires(self._item, f"access to {address} was blocked{where}{more}", address, key=host)
        raise NetworkBlockedError(f"{address}: the network guard blocks all hosts except the test database")

    def _may_reach(self, item: pytest.Item, host: str, port: int | None) -> bool:
        allowed = [_split(address) for address in (*self._access.allowed, *(GUARD.allowed(item) or ()))]
        # psycopg looks up a name without a port.
        names = [name for name, of_port in allowed if port is None or of_port in (None, str(port))]
        if host in names:
            return True
        with self._access.unchecked():
            return any(host in _addresses(name) for name in names)


def _address(event: str, arguments: tuple[Any, ...]) -> tuple[str | None, int | None]:
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        # A path is a Unix socket; None, a connected socket.
        return (address[0], address[1]) if isinstance(address, tuple) and isinstance(address[0], str) else (None, None)
    host, port = arguments[0], arguments[1] if event == "socket.getaddrinfo" else None
    name = host.decode() if isinstance(host, bytes) else host
    return name or None, int(port) if port is not None and str(port).isdecimal() else None


def _split(address: str) -> tuple[str, str | None]:
    # "host", "host:80", "::1" and "[::1]:80".
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or (":" in host and not host.endswith("]")):
        return address.strip("[]"), None
    return host.strip("[]"), port


@cache
def _addresses(name: str) -> frozenset[str]:
    try:
        return frozenset(str(found[4][0]) for found in socket.getaddrinfo(name, None))
    except OSError:
        return frozenset()


EVENTS = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}
NETWORK = pytest.StashKey[Network]()


def configure(config: pytest.Config) -> None:
    access = config.stash[NETWORK_ACCESS] = NetworkAccess(list(settings_of(config).allowed_hosts))
    network = config.stash[NETWORK] = Network(access)
    listen(dict.fromkeys(EVENTS, network.on_event))
    config.add_cleanup(lambda: stop_listening(EVENTS))


def watching(item: pytest.Item) -> AbstractContextManager[None]:
    """Surrounds a test and all its fixtures."""
    return item.config.stash[NETWORK].watching(item) if GUARD.applies_to(item) else nullcontext()
