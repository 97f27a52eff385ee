"""The shared connection of a savepoint test: that of asynchronous engines, or in a synchronous application the other.

An application that has an asynchronous engine is asynchronous: its synchronous engines cannot share the connection.
"""

from collections.abc import Callable
from time import monotonic

from ..postgres import server as servers
from ..transaction.logical_connection import IN_MIGRATION
from ..transaction.outer_transaction import Mode
from ..transaction.refusals import Refusals
from ..transaction.shared_connection import SharedConnection
from ..transaction.synchronous_connection import SynchronousConnection
from ..transaction.synchronous_transactions import SynchronousTransactions
from ..transaction.transactions import Transactions
from .application_engines import Engines
from .sharing import sharing_error, synchronous_sharing_error


class SharedConnections:
    """Both connections, in the same mode; the one that no engine uses is not opened.

    Attributes:
        refusals: what was refused in the current test.
        shared: the connection of asynchronous engines.
        synchronous: the connection of synchronous engines.
        engines: the engines of this process.
    """

    def __init__(self) -> None:
        self.refusals = Refusals()
        self.shared = SharedConnection(Transactions(refusals=self.refusals))
        self.synchronous = SynchronousConnection(SynchronousTransactions(refusals=self.refusals))
        self.engines = Engines()
        self._begun_at = monotonic()

    @property
    def is_synchronous(self) -> bool:
        """Whether synchronous engines share a connection."""
        return self.shared.transactions.connection is None and self.engines.is_synchronous

    def isolate_with(self, isolate: Callable[[], None] | None) -> None:
        """Begin isolation by this function at the first connection, in a test without fixtures of the harness."""
        self.shared.isolate = self.synchronous.isolate = isolate

    def isolate_if_needed(self, *, is_async: bool) -> None:
        """Called at each connection; it isolates a test without fixtures of the harness."""
        # Migrations run in a database of their own, also within a test that has none yet.
        if not IN_MIGRATION.get():
            (self.shared if is_async or not self.is_synchronous else self.synchronous).isolate_if_needed()

    def begin(self, mode: Mode) -> None:
        """Called at the beginning of a test, and before the startup of the lifespan."""
        self._begun_at = monotonic()
        self.shared.begin(mode)
        self.synchronous.begin(mode)

    def replace_if_idle(self) -> None:
        """Close a connection that was not used for a while: a proxy may have closed it, which would fail the test."""
        is_idle = monotonic() - self._begun_at > servers.IDLE
        is_open = self.shared.raw is not None or self.synchronous.raw is not None
        if is_idle and is_open and self.shared.transactions.mode == self.synchronous.transactions.mode == "outside":
            self.terminate()
            self.engines.replace_pools()

    async def end(self) -> str | None:
        """Roll back the test, or commit the startup of the lifespan; returns an error message, or None."""
        try:
            wrong = await self.shared.end()
        finally:
            wrong_too = self.synchronous.end()
        return wrong or wrong_too

    def end_synchronous(self, *, is_commit: bool) -> str | None:
        """End a fixture with a wider scope: commit what it wrote, or roll back; returns an error message, or None."""
        self.shared.transactions.mode = "outside"
        return self.synchronous.end(is_commit=is_commit)

    def stop_synchronous(self) -> None:
        """Close the connection of synchronous engines, which connect no more."""
        if self.synchronous.stop():
            self.engines.replace_pools()

    async def close(self) -> None:
        """Close both; the next engine opens another one."""
        self.synchronous.close()
        await self.shared.close()

    def terminate(self) -> None:
        """Close both where nothing can be awaited."""
        self.synchronous.terminate()
        self.shared.terminate()

    @property
    def has_written(self) -> bool:
        """Whether the lifespan or a fixture wrote rows."""
        return self.shared.transactions.has_written or self.synchronous.transactions.has_written

    def sharing_error(self, driver: str, *, is_async: bool) -> str | None:
        """Why the engine that connects now cannot share the connection; None if it can."""
        if self.is_synchronous:
            return synchronous_sharing_error(driver, self.synchronous, is_async=is_async)
        if is_async and (wrong := synchronous_sharing_error(driver, self.synchronous, is_async=True)) is not None:
            return wrong
        return sharing_error(driver, self.shared, is_async=is_async)
