"""The connection of a savepoint test, which all engines of the application share, one statement at a time.

The transaction of an engine is a savepoint: COMMIT becomes RELEASE, and ROLLBACK becomes ROLLBACK TO. The first
statement begins the outer transaction of the test; the end of the test rolls it back.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from .connection_of_tests import ConnectionOfTests
from .logical_connection import DRIVER_STATEMENT, LogicalConnection
from .outer_transaction import Mode
from .raw_connection import Driver, RawConnection, is_of_server
from .refusals import OWN_DATABASE, STAYS_OPEN, STILL_RUNS
from .shielded import LIMIT, run_shielded


@dataclass(eq=False)
class SharedConnection(ConnectionOfTests):
    """A connection of the driver, opened when the first engine connects.

    Attributes:
        loop: the event loop of the tests, to which the connection belongs.
        mutex: held while a statement is being sent.
        waiting: transactions of the lifespan, and the transaction of the test that each waits for.
        codecs: the type codecs that were set on the asyncpg connection.
    """

    loop: asyncio.AbstractEventLoop | None = None
    mutex: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: dict[LogicalConnection, LogicalConnection] = field(default_factory=dict)
    codecs: dict[tuple[str, str], list[Any]] = field(default_factory=dict)
    _open: tuple[Driver, Callable[[], Awaitable[Any]]] | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def connect(self, driver: Driver, open_: Callable[[], Awaitable[Any]]) -> None:
        """Open the connection unless it is open; `open_` also reopens it later."""
        async with self.mutex:
            if not self.transactions.is_open:
                self._open = driver, open_
                await self._reopen()

    async def _reopen(self) -> None:
        if self._open is not None:
            driver, open_ = self._open
            self.transactions.use(RawConnection(driver, await open_()))
            self.codecs.clear()

    def begin(self, mode: Mode) -> None:
        """Called at the beginning of a test, and before the startup of the lifespan."""
        self.transactions.begin(mode)
        self._change()

    async def end(self) -> str | None:
        """Roll back the test, or commit the startup of the lifespan; returns an error message, or None."""
        deadline, wrong = asyncio.get_running_loop().time() + LIMIT, None
        while wrong is None and (owner := self.transactions.savepoints.lifespan_owner()) is not None:
            wrong = await self._has_not_ended(owner, deadline)
        mode, self.transactions.mode = self.transactions.mode, "outside"
        try:
            async with asyncio.timeout(LIMIT), self.mutex:
                is_commit = mode == "seeding" and wrong is None
                wrong = await self.transactions.end(mode, is_commit=is_commit) or wrong
        except TimeoutError:
            wrong = STILL_RUNS.format(LIMIT)
            self.terminate()
        except BaseException as error:
            # The server rolls back a terminated connection; an open transaction would continue in the next test.
            self.terminate()
            if mode == "seeding" or not isinstance(error, Exception):
                raise
        finally:
            self.transactions.reset()
            self._change()
        return wrong

    async def close(self) -> None:
        """Close the connection; the next engine opens another one."""
        connection = self.transactions.connection
        self.transactions.use(None)
        if connection is not None:
            await connection.close()

    @asynccontextmanager
    async def statement(self, logical: LogicalConnection) -> AsyncIterator[None]:
        """Let the block send a statement, exclusively, with the savepoint of its transaction on top.

        Raises:
            IsolationError: a savepoint test cannot imitate the statement; the message says what to write instead.
        """
        next_statement, logical.next_statement = logical.next_statement or DRIVER_STATEMENT, None
        await self._acquire(logical)
        logical.is_sending = True
        try:
            if self.transactions.connection is None:
                # The connection was closed between tests, and an engine still uses its proxy.
                await self._reopen()
            if not self.transactions.can_send_now(logical, next_statement):
                await run_shielded(self.transactions.prepare(logical, next_statement, self.transactions.mode))
            yield
        except BaseException as error:
            if next_statement.is_autocommit:
                await run_shielded(self.transactions.roll_back(logical))
            elif is_of_server(error) and self.transactions.is_open:
                logical.has_failed = bool(self.transactions.savepoints.own(logical))
            raise
        else:
            if next_statement.is_autocommit:
                await run_shielded(self.transactions.commit(logical))
        finally:
            logical.is_sending = False
            self.mutex.release()

    async def commit(self, logical: LogicalConnection) -> None:
        """Commit a transaction; its changes stay until the outer transaction ends."""
        try:
            async with self.mutex:
                await run_shielded(self.transactions.commit(logical))
        finally:
            self._change()

    async def roll_back(self, logical: LogicalConnection) -> None:
        """Roll back a transaction; raises `IsolationError` if that would undo changes of another transaction."""
        try:
            async with self.mutex:
                await run_shielded(self.transactions.roll_back(logical))
        finally:
            self._change()

    async def end_connecting(self, logical: LogicalConnection) -> None:
        """Called when the pool has set up a connection."""
        logical.is_connecting = False
        async with self.mutex:
            await run_shielded(self.transactions.end_connecting("COMMIT"))

    async def _acquire(self, logical: LogicalConnection) -> None:
        """Wait until this transaction may send a statement, and acquire the mutex."""
        deadline = asyncio.get_running_loop().time() + LIMIT
        while True:
            await self.mutex.acquire()
            # Checked with the mutex held: its last holder may have begun to write.
            blocker = self._blocker(logical)
            if blocker is None:
                return
            self.mutex.release()
            if logical.is_of_lifespan and not blocker.is_of_lifespan:
                # Without a time limit: a test that does not wait for the lifespan may keep its transaction open.
                self.waiting[logical] = blocker
                try:
                    await self._changed.wait()
                finally:
                    del self.waiting[logical]
            elif (wrong := await self._has_not_ended(blocker, deadline)) is not None:
                self.transactions.refuse(f"{wrong} Waiting for it: {logical.name}. {OWN_DATABASE}")

    async def _has_not_ended(self, owner: LogicalConnection, deadline: float) -> str | None:
        """Wait until a transaction ends; returns an error message if the deadline has passed."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self._changed.wait()
                return None
        return STAYS_OPEN.format(owner.name, LIMIT)

    def _change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
