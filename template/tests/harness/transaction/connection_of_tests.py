"""What the connection of asynchronous engines and that of synchronous engines have in common."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .logical_connection import IN_LIFESPAN, LogicalConnection
from .transactions import Transactions


@dataclass(eq=False)
class ConnectionOfTests:
    """A connection that engines share in a savepoint test.

    Args:
        transactions: the transactions on the connection.

    Attributes:
        isolate: begins isolation for a test, or for a fixture, that connects; None outside of both.
        isolating: held by the thread that begins it.
    """

    transactions: Transactions
    isolate: Callable[[], None] | None = None
    isolating: threading.RLock = field(default_factory=threading.RLock)

    @property
    def raw(self) -> Any:
        """The connection of the driver; None if there is none."""
        return None if self.transactions.connection is None else self.transactions.connection.raw

    def isolate_if_needed(self) -> None:
        """Begin isolation, if nothing has begun it."""
        if self._must_isolate() and not IN_LIFESPAN.get():
            # Another thread that connects waits for the database.
            with self.isolating:
                if self._must_isolate() and self.isolate is not None:
                    self.isolate()

    def _must_isolate(self) -> bool:
        return self.transactions.mode == "outside" and self.isolate is not None

    def terminate(self) -> None:
        """Close it where nothing can be awaited, and while a statement may be pending, which fails."""
        connection, self.transactions.mode = self.transactions.connection, "outside"
        self.transactions.use(None)
        if connection is not None:
            connection.terminate()

    def _blocker(self, logical: LogicalConnection) -> LogicalConnection | None:
        """The transaction that must end before this one may send a statement."""
        if logical.is_of_lifespan and self.transactions.mode == "outside":
            # The lifespan waits for the next test.
            return LogicalConnection()
        return self.transactions.savepoints.blocker(logical)
