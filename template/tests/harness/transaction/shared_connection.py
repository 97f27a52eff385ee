"""The one connection of a savepoint test, as all engines of the application share it, and whose turn it is.

What an engine takes for its transaction is a savepoint: COMMIT is RELEASE, and ROLLBACK is ROLLBACK TO. The test's own
transaction is begun by the first statement, and rolled back at the end.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from .members import BY_DRIVER, OF_LIFESPAN, Member
from .outer_transaction import Mode
from .raw_connection import Driver, RawConnection
from .refusals import OWN_DATABASE, STAYS_OPEN, STILL_RUNS
from .shielded import to_its_end
from .transactions import Transactions

# Seconds that a transaction waits for another one's end: not how long it takes, but when it will never come.
LIMIT = 10


@dataclass(eq=False)
class SharedConnection:
    """A connection of the driver's, opened by the first engine that asks for one.

    Args:
        transactions: on it.

    Attributes:
        loop: the event loop of the tests, which is the connection's.
        demand: isolates the test that runs, which has not asked for it; None if there is none.
        mutex: held while a statement is under way.
        codecs: of types, as asyncpg was told them.
    """

    transactions: Transactions
    loop: asyncio.AbstractEventLoop | None = None
    demand: Callable[[], None] | None = None
    mutex: asyncio.Lock = field(default_factory=asyncio.Lock)
    codecs: dict[tuple[str, str], list[Any]] = field(default_factory=dict)
    _open: tuple[Driver, Callable[[], Awaitable[Any]]] | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def connect(self, driver: Driver, open_: Callable[[], Awaitable[Any]]) -> None:
        """Open the connection, unless it is open; should it be closed, it will be opened in the same way."""
        async with self.mutex:
            if not self.transactions.is_open:
                self._open = driver, open_
                await self._reopen()

    @property
    def raw(self) -> Any:
        """The driver's own connection; None if there is none."""
        return None if self.transactions.connection is None else self.transactions.connection.raw

    async def _reopen(self) -> None:
        if self._open is not None:
            driver, open_ = self._open
            self.transactions.use(RawConnection(driver, await open_()))
            self.codecs.clear()

    def isolate_if_demanded(self) -> None:
        """Begin a test's transaction, if a test runs that has no fixture which has begun it."""
        if self.transactions.mode == "outside" and self.demand is not None and not OF_LIFESPAN.get():
            self.demand()

    def begin(self, mode: Mode) -> None:
        """A test begins, or the lifespan's start."""
        self.transactions.begin(mode)
        self._change()

    async def end(self) -> str | None:
        """Roll the test back, or commit what the lifespan has written; returns what is wrong, if anything."""
        deadline, wrong = asyncio.get_running_loop().time() + LIMIT, None
        while wrong is None and (owner := self.transactions.savepoints.of_lifespan()) is not None:
            wrong = await self._has_not_ended(owner, deadline)
        mode, self.transactions.mode = self.transactions.mode, "outside"
        try:
            async with asyncio.timeout(LIMIT), self.mutex:
                is_commit = mode == "seeding" and wrong is None
                wrong = await self.transactions.end(mode, is_commit=is_commit) or wrong
        except TimeoutError:
            wrong = STILL_RUNS.format(LIMIT)
            self.cut()
        except BaseException as error:
            # The server rolls back what is cut; a test after this one would go on in a transaction that is left.
            self.cut()
            if mode == "seeding" or not isinstance(error, Exception):
                raise
        finally:
            self.transactions.forget()
            self._change()
        return wrong

    async def close(self) -> None:
        """Close the connection; the next engine opens another one."""
        connection = self.transactions.connection
        self.transactions.use(None)
        if connection is not None:
            await connection.close()

    def cut(self) -> None:
        """The same, where nothing can be awaited: whoever still uses the connection gets an error."""
        connection, self.transactions.mode = self.transactions.connection, "outside"
        self.transactions.use(None)
        if connection is not None:
            connection.cut()

    # What a transaction asks for.

    @asynccontextmanager
    async def statement(self, member: Member) -> AsyncIterator[None]:
        """Sends a statement in its block, alone, with a savepoint of its transaction's own on top.

        Raises:
            IsolationError: it cannot be imitated; the message says what to write instead.
        """
        announced, member.announced = member.announced or BY_DRIVER, None
        await self._take_turn(member)
        member.is_sending = True
        try:
            if self.transactions.connection is None:
                # Closed between tests, and an engine has gone on.
                await self._reopen()
            if not self.transactions.may_go_on(member, announced):
                await to_its_end(self.transactions.make_room(member, announced, self.transactions.mode))
            yield
        except BaseException:
            if announced.is_autocommit:
                await to_its_end(self.transactions.roll_back(member))
            raise
        else:
            if announced.is_autocommit:
                await to_its_end(self.transactions.commit(member))
        finally:
            member.is_sending = False
            self.mutex.release()

    async def commit(self, member: Member) -> None:
        """End a transaction; what it wrote is there until the test's own transaction ends."""
        try:
            async with self.mutex:
                await to_its_end(self.transactions.commit(member))
        finally:
            self._change()

    async def roll_back(self, member: Member) -> None:
        """Undo a transaction; raises `IsolationError` if that would undo what another transaction has written."""
        try:
            async with self.mutex:
                await to_its_end(self.transactions.roll_back(member))
        finally:
            self._change()

    async def end_connecting(self, member: Member) -> None:
        """The pool has set a connection up, and lends it."""
        member.is_connecting = False
        async with self.mutex:
            await to_its_end(self.transactions.end_connecting("COMMIT"))

    # Whose turn it is.

    async def _take_turn(self, member: Member) -> None:
        """Wait until this transaction may send something; the mutex is held then."""
        deadline = asyncio.get_running_loop().time() + LIMIT
        while True:
            await self.mutex.acquire()
            # Asked with the turn in hand: who had it before may have begun to write.
            blocker = self._blocker(member)
            if blocker is None:
                return
            self.mutex.release()
            if member.is_of_lifespan and not blocker.is_of_lifespan:
                # As late as it likes, since no test waits for it.
                await self._changed.wait()
            elif (wrong := await self._has_not_ended(blocker, deadline)) is not None:
                self.transactions.refuse(f"{wrong}, and {member.name} had to wait for it. {OWN_DATABASE}")

    def _blocker(self, member: Member) -> Member | None:
        if member.is_of_lifespan and self.transactions.mode == "outside":
            # A test, the next one.
            return Member()
        return self.transactions.savepoints.blocker(member)

    async def _has_not_ended(self, owner: Member, deadline: float) -> str | None:
        """Wait until something changes; what to say if nothing has until then."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self._changed.wait()
                return None
        return STAYS_OPEN.format(owner.name, LIMIT)

    def _change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
