"""Guard: no network but the test database's own address and port; names are not even looked up.

Sockets of the machine itself (AF_UNIX) are no network. Every attempt is refused, and fails the test at its end, also
if the application swallowed the error.
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
    why="a test that depends on somebody's server fails when it does, and changes what is there.",
    instead="mock what is asked, below the library that asks: respx for httpx.",
)


# The fixture that stands for a host, of which a test that has forgotten it is told.
ANSWERED_BY: dict[str, str] = {}


class NetworkRefusedError(OSError):
    """A test asked for an address that is not its database's."""


class Network:
    """Refuses the test that runs what it may not reach."""

    def __init__(self, access: NetworkAccess) -> None:
        self._access = access
        self._item: pytest.Item | None = None
        self._refused: set[str] = set()

    @contextmanager
    def watching(self, item: pytest.Item) -> Iterator[None]:
        """Refuse, while this test runs, what it may not reach."""
        self._item, self._refused = item, set()
        try:
            yield
        finally:
            self._item = None

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Listen to the events of sockets; raises `NetworkRefusedError`."""
        if self._item is None or not self._access.is_checked:
            return
        host, port = _address(event, arguments)
        # Before their names are looked up, hosts are names; and a socket that is connected has its address already.
        if host is None or self._may_reach(self._item, host, port):
            return
        address = f"{host}:{port}" if port else host
        if address not in self._refused:
            self._refused.add(address)
            place = place_of_call(self._item.config.rootpath)
            where = f" ({place})" if place else ""
            fixture = f" Fixture `{ANSWERED_BY[host]}` answers for it." if host in ANSWERED_BY else ""
            GUARD.fires(self._item, f"the test asked for {address}{where}, and was refused.{fixture}", allow=address)
        raise NetworkRefusedError(f"{address}: tests reach no network but their database")

    def _may_reach(self, item: pytest.Item, host: str, port: int | None) -> bool:
        allowed = [_split(address) for address in (*self._access.allowed, *(GUARD.allowed(item) or ()))]
        # A name may be looked up without a port: psycopg does so.
        names = [name for name, of_port in allowed if port is None or of_port in (None, str(port))]
        if host in names:
            return True
        with self._access.unchecked():
            return any(host in _addresses(name) for name in names)


def _address(event: str, arguments: tuple[Any, ...]) -> tuple[str | None, int | None]:
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        # A path is a socket of this machine; None, one that is connected.
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
    listen(dict.fromkeys(EVENTS, network.hear))
    config.add_cleanup(lambda: stop_listening(EVENTS))


def watching(item: pytest.Item) -> AbstractContextManager[None]:
    """Surrounds a test with all of its fixtures."""
    return item.config.stash[NETWORK].watching(item) if GUARD.watches(item) else nullcontext()
