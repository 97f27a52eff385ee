"""The drivers' own pools: one that the lifespan has filled holds connections to a database of before.

What they hand out in a test is to the test's database. A connection that is not is closed, and another one taken, which
`drivers` sends where it belongs.
"""

import functools
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, Protocol


class Policy(Protocol):
    """What knows where connections belong."""

    def refuse_by_hand(self, driver: str) -> None: ...

    def is_current(self, name: str) -> bool: ...


# More than a pool holds: each of them may be of before.
MOST = 1000
NONE = "none of the pool's connections is to the test's database"

# Sets an attribute until the harness listens no more.
Replace = Callable[[Any, str, Any], None]


def apply(replace: Replace, policy: Policy) -> None:
    """Let `policy` decide what the pools of the drivers that are installed hand out."""
    with suppress(ImportError):
        pool = import_module("asyncpg.pool").Pool
        replace(pool, "_acquire", _of_asyncpg(pool._acquire, policy))
    with suppress(ImportError):
        psycopg_pool = import_module("psycopg_pool")
        replace(psycopg_pool.ConnectionPool, "getconn", _waiting(psycopg_pool.ConnectionPool.getconn, policy))
        replace(
            psycopg_pool.AsyncConnectionPool, "getconn", _awaiting(psycopg_pool.AsyncConnectionPool.getconn, policy)
        )
    with suppress(ImportError):
        psycopg2 = import_module("psycopg2.pool")
        for pool in (psycopg2.SimpleConnectionPool, psycopg2.ThreadedConnectionPool):
            replace(pool, "getconn", _waiting(pool.getconn, policy))


def _of_asyncpg(acquire: Callable[..., Any], policy: Policy) -> Callable[..., Any]:
    @functools.wraps(acquire)
    async def of_test(self: Any, *arguments: Any, **options: Any) -> Any:
        policy.refuse_by_hand("asyncpg")
        connection = await acquire(self, *arguments, **options)
        if not await _is_current(connection):
            await self.expire_connections()
            await self.release(connection)
            connection = await acquire(self, *arguments, **options)
        return connection

    async def _is_current(connection: Any) -> bool:
        # The server knows; asyncpg tells nobody.
        try:
            return policy.is_current(await connection.fetchval("SELECT current_database()"))
        except import_module("asyncpg").PostgresConnectionError:
            # Its database was dropped.
            return False

    return of_test


def _waiting(getconn: Callable[..., Any], policy: Policy) -> Callable[..., Any]:
    @functools.wraps(getconn)
    def of_test(self: Any, *arguments: Any, **options: Any) -> Any:
        policy.refuse_by_hand("psycopg")
        for _ in range(MOST):
            connection = getconn(self, *arguments, **options)
            if policy.is_current(connection.info.dbname):
                return connection
            connection.close()
            self.putconn(connection)
        raise RuntimeError(NONE)

    return of_test


def _awaiting(getconn: Callable[..., Any], policy: Policy) -> Callable[..., Any]:
    @functools.wraps(getconn)
    async def of_test(self: Any, *arguments: Any, **options: Any) -> Any:
        policy.refuse_by_hand("psycopg")
        for _ in range(MOST):
            connection = await getconn(self, *arguments, **options)
            if policy.is_current(connection.info.dbname):
                return connection
            await connection.close()
            await self.putconn(connection)
        raise RuntimeError(NONE)

    return of_test
