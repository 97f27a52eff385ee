"""Which addresses the process may connect to while a test runs: those of `allowed_hosts`, and what the harness uses."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class NetworkAccess:
    """What a test may reach, and whether that is looked at.

    Args:
        allowed: addresses, as `host` or `host:port`.
    """

    def __init__(self, allowed: list[str]) -> None:
        self.allowed = allowed
        self.is_checked = True

    @contextmanager
    def unchecked(self) -> Iterator[None]:
        """For what the harness does by itself: start a server, and look its name up."""
        before, self.is_checked = self.is_checked, False
        try:
            yield
        finally:
            self.is_checked = before


NETWORK_ACCESS = pytest.StashKey[NetworkAccess]()
