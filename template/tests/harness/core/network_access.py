"""The addresses that the process may connect to during a test: `allowed_hosts`, and those that the harness needs."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class NetworkAccess:
    """The allowed addresses, and whether connections are checked.

    Args:
        allowed: addresses, as `host` or `host:port`.
    """

    def __init__(self, allowed: list[str]) -> None:
        self.allowed = allowed
        self.is_checked = True

    @contextmanager
    def unchecked(self) -> Iterator[None]:
        """Turn the check off for connections of the harness itself: it starts a server and resolves its name."""
        before, self.is_checked = self.is_checked, False
        try:
            yield
        finally:
            self.is_checked = before


NETWORK_ACCESS = pytest.StashKey[NetworkAccess]()
