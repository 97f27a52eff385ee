"""Connections of the lifespan's tasks that cannot share the connection of a savepoint test: separate and read-only.

A scheduler with a synchronous engine, or a task that calls the driver, belongs to no test, so no test may fail because
of it. What it writes would stay for all later tests, so PostgreSQL refuses it.
"""

from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakSet

from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from ..transaction.logical_connection import IN_LIFESPAN
from . import kept_connections
from .drivers import Requester

REUSED = "a test uses an engine in whose pool the lifespan has left a separate connection."


class Policy(kept_connections.Policy, Protocol):
    """Whether a savepoint test is running, and its error for an engine that cannot share the connection."""

    is_shared: bool

    @property
    def is_synchronous(self) -> bool:
        """Whether synchronous engines share a connection."""

    engine_refusal: Callable[[str], Exception | None]


class LifespanConnections:
    """The separate connections of the lifespan's tasks.

    Attributes:
        kept: these, and those that the startup opens, each use of which is checked.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.kept = kept_connections.KeptConnections(policy)
        self._opened: WeakSet[Any] = WeakSet()

    @property
    def is_in_task(self) -> bool:
        """Whether a task of the lifespan runs this code in a savepoint test or between tests; not its shutdown."""
        is_startup_or_shutdown = self._is_outside_of_test and self._policy.shared.transactions.mode != "outside"
        return self._policy.is_shared and bool(IN_LIFESPAN.get()) and not is_startup_or_shutdown

    def is_read_only(self, must_share: bool) -> bool:
        """Whether a new connection may not write.

        Rows that a fixture with a wider scope or a task of the lifespan writes would stay for all later tests.
        """
        policy = self._policy
        is_outside = policy.is_shared and policy.shared.transactions.mode == "outside" and not policy.is_synchronous
        return is_outside or (self.is_in_task and not must_share)

    @property
    def _is_outside_of_test(self) -> bool:
        return self._policy.direct_refusal is None

    @property
    def requester(self) -> Requester:
        """Who requests a connection now."""
        # Not its truth: see `Serving`. Fixtures of a synchronous application are in this mode, too.
        if self._policy.shared.transactions.mode == "seeding" and IN_LIFESPAN.get() is not False:
            return "startup"
        # A fixture with a wider scope; or a driver's pool, which connects in the background also between the tests.
        is_kept = self.is_in_task or self.is_read_only(must_share=False)
        return "task" if is_kept else "other"

    def options(self, driver: str, options: dict[str, Any], must_share: bool) -> dict[str, Any]:
        """The options of a new connection."""
        return options if must_share or self.requester == "other" else self.kept.options(driver, options)

    def opened(self, connection: Any, requester: Requester) -> None:
        """Called with the new connection of a driver."""
        # A connection with the attribute `logical` is a proxy on the shared connection.
        if requester == "other" or hasattr(connection, "logical"):
            return
        if requester == "task":
            self._opened.add(connection)
        self.kept.add(connection, is_read_only=requester == "task")

    def checked_out(self, connection: Any, record: ConnectionPoolEntry, fairy: object) -> None:
        """Listener of SQLAlchemy's event: only the lifespan uses such a connection."""
        of_driver = record.driver_connection
        if of_driver not in self.kept or self.is_in_task:
            return
        if self._is_outside_of_test:
            # The shutdown may write: SQLAlchemy opens another connection.
            if of_driver in self._opened:
                raise DisconnectionError
        elif (error := self._policy.engine_refusal(REUSED)) is not None:
            raise error
        else:
            # The test allows it.
            self.kept.discard(of_driver)
