"""A savepoint test: everything it does happens in one transaction, rolled back at the end. The default.

The application keeps its real `get_db` and its own sessions: its `session_factory` is bound to the test's
connection with `join_transaction_mode="create_savepoint"`, so that a commit releases a savepoint and a rollback
goes back to one. `db_session` is another session on the same connection. A session shared by the test and the
application would hide a forgotten commit or flush.

Beside its own statements, a test sends BEGIN and ROLLBACK, since that is what keeps it apart; between them SAVEPOINT
and RELEASE for each session of the application, which stand for its BEGIN and COMMIT; and SET CONSTRAINTS ALL IMMEDIATE
at the end, without which no deferred constraint would ever be looked at.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from asyncpg import InFailedSQLTransactionError, IntegrityConstraintViolationError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from .databases import WorkerDatabase
from .fresh import FreshSession
from .redirect import Redirect
from .transaction import OuterTransaction

OUTER_TRANSACTION = pytest.StashKey[OuterTransaction]()


class SavepointSession(FreshSession):
    """The test's session: what it commits, the application sees, and the rollback at the end still takes."""

    async def commit(self) -> None:
        await super().commit()
        # Joined again at once: at its next use it could join a savepoint of the application, and end with it.
        await self.connection()


@pytest.fixture(scope="session")
async def worker_engine(
    event_loop_held: None, worker_database: WorkerDatabase, redirect: Redirect
) -> AsyncIterator[AsyncEngine]:
    """The engine of all savepoint tests of this worker."""
    engine = create_async_engine(worker_database.url)
    redirect.exempt(engine, of_tests=True)
    yield engine
    await engine.dispose()


@pytest.fixture
async def savepoint_connection(
    anyio_backend: str,
    worker_engine: AsyncEngine,
    session_factory: async_sessionmaker[AsyncSession],
    request: pytest.FixtureRequest,
) -> AsyncIterator[AsyncConnection]:
    """The test's connection, in its outer transaction, with the application's sessions on it."""
    async with worker_engine.connect() as connection:
        outer = request.node.stash[OUTER_TRANSACTION] = await connection.run_sync(OuterTransaction)
        kw_before = dict(session_factory.kw)
        session_factory.configure(bind=connection, join_transaction_mode="create_savepoint")
        try:
            yield connection
        finally:
            session_factory.kw.clear()
            session_factory.kw.update(kw_before)
            complaint = await _end(connection, outer)
    if complaint is not None:
        pytest.fail(complaint, pytrace=False)


async def _end(connection: AsyncConnection, outer: OuterTransaction) -> str | None:
    """Roll the test back; returns what is wrong with how it ended, unless that has been said already."""
    if connection.invalidated:
        # With the connection went the transaction, and all that was in it.
        outer.let_go()
        return None
    if outer.violations:
        # Tasks that were refused may have left others in the middle of a statement.
        await _abandon(connection, outer)
        return None
    if left_open := outer.left_open():
        await _abandon(connection, outer)
        return left_open
    broken = None if outer.ended else await _deferred_constraint_that_fails(connection)
    await connection.run_sync(lambda _: outer.roll_back())
    if broken is None:
        return None
    return f"a deferred constraint does not hold at the end of the test; a real commit would have failed:\n{broken}"


async def _abandon(connection: AsyncConnection, outer: OuterTransaction) -> None:
    """Cut the connection: the server rolls back, and neither a task that still runs nor the next test gets it."""
    outer.let_go()
    raw: Any = await connection.get_raw_connection()
    raw.driver_connection.terminate()
    await connection.invalidate()


async def _deferred_constraint_that_fails(connection: AsyncConnection) -> BaseException | None:
    # By the driver: SQLAlchemy's way around it takes longer than the statement.
    raw: Any = await connection.get_raw_connection()
    try:
        await raw.driver_connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except IntegrityConstraintViolationError as error:
        return error
    except InFailedSQLTransactionError:
        pass
    return None


@pytest.fixture
async def savepoint_session(
    anyio_backend: str, savepoint_connection: AsyncConnection, request: pytest.FixtureRequest
) -> AsyncIterator[AsyncSession]:
    """The test's session in a savepoint test; it reads what the application wrote, not what it remembers."""
    async with SavepointSession(
        savepoint_connection,
        join_transaction_mode="rollback_only",
        expire_on_commit=False,
    ) as session:
        request.node.stash[OUTER_TRANSACTION].join(session.sync_session)
        # Joined before the application opens its first savepoint.
        await session.connection()
        yield session
