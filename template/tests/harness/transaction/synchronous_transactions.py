"""The transactions on the synchronous connection, whose messages advise synchronous code."""

from dataclasses import dataclass
from typing import NoReturn

from .transactions import Transactions


@dataclass(eq=False)
class SynchronousTransactions(Transactions):
    """As `Transactions`."""

    def refuse(self, message: str) -> NoReturn:
        """Record a refusal, and raise `IsolationError`."""
        super().refuse(without_await(message))


def without_await(advice: str) -> str:
    """The same advice for synchronous code."""
    return advice.replace("`await ", "`").replace("`async with session", "`with session")
