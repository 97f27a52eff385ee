"""The drivers' own pools: a pool that the lifespan filled holds connections to an earlier database.

In a test, these pools return connections to the test's database only. Other connections are closed and replaced by new
connections, which `drivers` redirects.
"""

import functools
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, Protocol


class Policy(Protocol):
    """Knows the database of the test, and whether direct connections are refused."""

    def refuse_direct(self, driver: str) -> None: ...

    def is_current(self, name: str) -> bool: ...


# More connections than a pool holds: all of them may lead to an earlier database.
MAX_ATTEMPTS = 1000
NO_CURRENT_CONNECTION = "The pool has no connection to the test's database"

# Sets an attribute until the harness stops listening.
Replace = Callable[[Any, str, Any], None]


def apply(replace: Replace, policy: Policy) -> None:
    """Let `policy` decide which connections the pools of installed drivers return."""
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
        policy.refuse_direct("asyncpg")
        for _ in range(MAX_ATTEMPTS):
            connection = await acquire(self, *arguments, **options)
            # No query: the server may be closing the connection.
            if policy.is_current(connection._params.database):
                return connection
            # Waits for nothing. The pool opens another one.
            connection.terminate()
        raise RuntimeError(NO_CURRENT_CONNECTION)

    return of_test


def _waiting(getconn: Callable[..., Any], policy: Policy) -> Callable[..., Any]:
    @functools.wraps(getconn)
    def of_test(self: Any, *arguments: Any, **options: Any) -> Any:
        policy.refuse_direct("psycopg")
        for _ in range(MAX_ATTEMPTS):
            connection = getconn(self, *arguments, **options)
            if policy.is_current(connection.info.dbname):
                return connection
            connection.close()
            self.putconn(connection)
        raise RuntimeError(NO_CURRENT_CONNECTION)

    return of_test


def _awaiting(getconn: Callable[..., Any], policy: Policy) -> Callable[..., Any]:
    @functools.wraps(getconn)
    async def of_test(self: Any, *arguments: Any, **options: Any) -> Any:
        policy.refuse_direct("psycopg")
        for _ in range(MAX_ATTEMPTS):
            connection = await getconn(self, *arguments, **options)
            if policy.is_current(connection.info.dbname):
                return connection
            await connection.close()
            await self.putconn(connection)
        raise RuntimeError(NO_CURRENT_CONNECTION)

    return of_test
