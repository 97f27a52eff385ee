"""No connection of the process reaches a developer's database, with any driver and any function of it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import asyncpg
import psycopg
import psycopg2
import psycopg2.pool
import psycopg_pool
import pytest
from harness.connections.database_name import WrongDatabaseError
from harness.connections.redirect import Redirect
from harness.postgres.server import Server
from harness.transaction.refusals import IsolationError, NoTestDatabaseError
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

NAME = "SELECT current_database()"
DEVELOPERS, TESTS, NEXT = "developers", "of_a_test", "of_the_next_test"

Way = Callable[[str], Awaitable[str]]


async def by_asyncpg(connect: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    connection = await connect(*arguments, **options)
    name: str = await connection.fetchval(NAME)
    await connection.close()
    return name


async def by_asyncpg_with_names(dsn: str) -> str:
    host = dsn.partition("host=")[2]
    return await by_asyncpg(asyncpg.connect, host=host, user="postgres", database=DEVELOPERS, timeout=5)


async def by_a_pool_of_asyncpg(dsn: str) -> str:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool:
        name: str = await pool.fetchval(NAME)
        return name


def _first(connection: Any, query: str = NAME) -> str:
    cursor = connection.cursor()
    cursor.execute(query)
    name: str = cursor.fetchone()[0]
    return name


async def by_psycopg(connect: Callable[..., Any], *arguments: Any) -> str:
    connection = connect(*arguments)
    name = _first(connection)
    connection.close()
    return name


class OfTheApplication(psycopg.Connection[Any]):
    """A class of the application's own."""


async def by_psycopg_async(dsn: str) -> str:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        row = await (await connection.execute(NAME)).fetchone()
        assert row is not None
        return str(row[0])


async def by_a_pool_of_psycopg(dsn: str) -> str:
    with psycopg_pool.ConnectionPool(dsn, min_size=1, max_size=2, open=True) as pool, pool.connection() as connection:
        return _first(connection)


async def by_a_null_pool_of_psycopg(dsn: str) -> str:
    with psycopg_pool.NullConnectionPool(dsn, open=True) as pool, pool.connection() as connection:
        return _first(connection)


async def by_an_async_pool_of_psycopg(dsn: str) -> str:
    async with psycopg_pool.AsyncConnectionPool(dsn, min_size=1, open=False) as pool, pool.connection() as connection:
        row = await (await connection.execute(NAME)).fetchone()
        assert row is not None
        return str(row[0])


async def by_a_pool_of_psycopg2(dsn: str) -> str:
    pool = psycopg2.pool.ThreadedConnectionPool(1, 2, dsn)
    try:
        return _first(pool.getconn())
    finally:
        pool.closeall()


DIRECT: dict[str, Way] = {
    "asyncpg.connect": lambda dsn: by_asyncpg(asyncpg.connect, dsn),
    "asyncpg.connect by names": by_asyncpg_with_names,
    "asyncpg.connection.connect": lambda dsn: by_asyncpg(asyncpg.connection.connect, dsn),
    "asyncpg.create_pool": by_a_pool_of_asyncpg,
    "psycopg.connect": lambda dsn: by_psycopg(psycopg.connect, dsn),
    "psycopg.Connection.connect": lambda dsn: by_psycopg(psycopg.Connection.connect, dsn),
    "psycopg, a class": lambda dsn: by_psycopg(OfTheApplication.connect, dsn),
    "psycopg.AsyncConnection.connect": by_psycopg_async,
    "psycopg_pool.ConnectionPool": by_a_pool_of_psycopg,
    "psycopg_pool.NullConnectionPool": by_a_null_pool_of_psycopg,
    "psycopg_pool.AsyncConnectionPool": by_an_async_pool_of_psycopg,
    "psycopg2.connect": lambda dsn: by_psycopg(psycopg2.connect, dsn),
    "psycopg2.pool": by_a_pool_of_psycopg2,
}


async def of_engine(engine: AsyncEngine) -> str:
    async with engine.connect() as connection:
        name: str = (await connection.execute(text(NAME))).scalar_one()
    await engine.dispose()
    return name


async def of_sync_engine(engine: Engine) -> str:
    with engine.connect() as connection:
        name: str = connection.execute(text(NAME)).scalar_one()
    engine.dispose()
    return name


def by_async_creator(dsn: str) -> Awaitable[str]:
    async def connect() -> Any:
        await asyncio.sleep(0)
        return await asyncpg.connect(dsn)

    return of_engine(create_async_engine("postgresql+asyncpg://", async_creator=connect))


def by_do_connect(dsn: str) -> Awaitable[str]:
    engine = create_async_engine("postgresql+asyncpg://")

    @event.listens_for(engine.sync_engine, "do_connect")
    def token(dialect: object, record: object, args: list[Any], options: dict[str, Any]) -> None:
        options.update(host=dsn.partition("host=")[2], database=DEVELOPERS, user="postgres", password="a token")  # noqa: S106

    return of_engine(engine)


def by_a_listener_that_connects(dsn: str) -> Awaitable[str]:
    engine = create_engine("postgresql+psycopg://")
    event.listen(engine, "do_connect", lambda *_: psycopg.connect(dsn))
    return of_sync_engine(engine)


BY_SQLALCHEMY: dict[str, Way] = {
    "a URL": lambda dsn: of_engine(create_async_engine(dsn.replace("postgresql", "postgresql+asyncpg"))),
    "a URL, psycopg": lambda dsn: of_engine(create_async_engine(dsn.replace("postgresql", "postgresql+psycopg"))),
    "a URL, psycopg2": lambda dsn: of_sync_engine(create_engine(dsn.replace("postgresql", "postgresql+psycopg2"))),
    "async_creator": by_async_creator,
    "async_creator, a partial": lambda dsn: of_engine(
        create_async_engine("postgresql+asyncpg://", async_creator=partial(asyncpg.connect, dsn))
    ),
    "async_creator, psycopg": lambda dsn: of_engine(
        create_async_engine("postgresql+psycopg://", async_creator=lambda: psycopg.AsyncConnection.connect(dsn))
    ),
    "creator": lambda dsn: of_sync_engine(create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn))),
    "creator, a partial": lambda dsn: of_sync_engine(
        create_engine("postgresql+psycopg2://", creator=partial(psycopg2.connect, dsn))
    ),
    "do_connect": by_do_connect,
    "do_connect that returns a connection": by_a_listener_that_connects,
}

WAYS = {**DIRECT, **BY_SQLALCHEMY}


@pytest.fixture(scope="module")
def databases(server: Server) -> Iterator[str]:
    """A developer's database and two of tests; yields the URL of the first, as in `.env`."""
    with server.connect() as connection:
        for name in (DEVELOPERS, TESTS, NEXT):
            # Other modules create databases of these names too, in whatever order.
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
            connection.execute(f"CREATE DATABASE {name}".encode())
    yield f"postgresql://postgres@/{DEVELOPERS}?host={server.host}"
    with server.connect() as connection:
        for name in (DEVELOPERS, TESTS, NEXT):
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def redirect(databases: str) -> Iterator[Redirect]:
    """A listening redirection without a database."""
    redirect = Redirect()
    redirect.listen()
    yield redirect
    redirect.stop()


@pytest.mark.parametrize("way", WAYS)
def test_connections_go_to_the_tests_database(redirect: Redirect, server: Server, databases: str, way: str) -> None:
    async def ask() -> str:
        return await WAYS[way](databases)

    with redirect.to(server.url(TESTS)):
        assert asyncio.run(ask()) == TESTS


@pytest.mark.parametrize("way", WAYS)
def test_connections_without_a_test_database_are_refused(redirect: Redirect, databases: str, way: str) -> None:
    async def ask() -> str:
        return await WAYS[way](databases)

    with pytest.raises(NoTestDatabaseError, match="In a test, use `client`, `db_session` or `engine`"):
        asyncio.run(ask())


@pytest.mark.parametrize("way", WAYS)
def test_only_direct_connections_are_refused_in_a_savepoint_test(
    redirect: Redirect, server: Server, databases: str, way: str
) -> None:
    async def ask() -> str:
        return await WAYS[way](databases)

    with redirect.to(server.url(TESTS)), redirect.refusing("It would be outside."):
        if way in BY_SQLALCHEMY:
            assert asyncio.run(ask()) == TESTS
        else:
            with pytest.raises(
                IsolationError, match=r"A connection was requested directly from.*\. It would be outside\."
            ):
                asyncio.run(ask())


@pytest.mark.parametrize("way", WAYS)
def test_connections_are_not_redirected_after_stop(redirect: Redirect, databases: str, way: str) -> None:
    redirect.stop()

    async def ask() -> str:
        return await WAYS[way](databases)

    assert asyncio.run(ask()) == DEVELOPERS


def test_other_options_are_kept(redirect: Redirect, server: Server, databases: str) -> None:
    async def names_of_application() -> list[Any]:
        show = "SHOW application_name"
        dsn = f"{databases}&application_name=jobs"
        by_dsn = await asyncpg.connect(dsn)
        by_option = await asyncpg.connect(databases, server_settings={"application_name": "jobs"})
        names = [await by_dsn.fetchval(show), await by_option.fetchval(show)]
        await by_dsn.close()
        await by_option.close()
        for connect in (psycopg.connect, psycopg2.connect):
            for connection in (connect(dsn), connect(databases, application_name="jobs")):
                names += [_first(connection, show)]
                connection.close()
        return names

    with redirect.to(server.url(TESTS)):
        assert asyncio.run(names_of_application()) == ["jobs"] * 6


def test_a_filled_pool_returns_no_connection_to_an_earlier_database(
    redirect: Redirect, server: Server, databases: str
) -> None:
    async def ask() -> list[str]:
        names = []
        waiting = psycopg_pool.ConnectionPool(databases, min_size=2, open=False)
        of_psycopg2 = psycopg2.pool.ThreadedConnectionPool(0, 3, databases)
        async with (
            asyncpg.create_pool(databases, min_size=2) as of_asyncpg,
            psycopg_pool.AsyncConnectionPool(databases, min_size=2, open=False) as awaiting,
        ):
            waiting.open(wait=True)
            for name in (TESTS, NEXT, TESTS):
                with redirect.to(server.url(name)):
                    names += [await of_asyncpg.fetchval(NAME)]
                    with waiting.connection() as connection:
                        names += [_first(connection)]
                    async with awaiting.connection() as other:
                        row = await (await other.execute(NAME)).fetchone()
                        names += [row[0]] if row else []
                    third = of_psycopg2.getconn()
                    names += [_first(third)]
                    of_psycopg2.putconn(third)
            waiting.close()
            of_psycopg2.closeall()
        return names

    with redirect.to(server.url(TESTS)):
        assert asyncio.run(ask()) == [TESTS] * 4 + [NEXT] * 4 + [TESTS] * 4


def test_a_filled_pool_is_refused_in_a_savepoint_test(redirect: Redirect, server: Server, databases: str) -> None:
    async def ask() -> None:
        async with asyncpg.create_pool(databases, min_size=1) as pool:
            with redirect.refusing("It would be outside."), pytest.raises(IsolationError, match="It would be outside"):
                await pool.fetchval(NAME)

    with redirect.to(server.url(TESTS)):
        asyncio.run(ask())


def test_a_pool_may_connect_in_the_background_in_a_savepoint_test(
    redirect: Redirect, server: Server, databases: str
) -> None:
    """A pool that the lifespan has just opened does so; if refused, it would retry."""

    async def ask() -> list[str]:
        pool = psycopg_pool.ConnectionPool(databases, min_size=1, open=False)
        with redirect.refusing("It would be outside."):
            pool.open(wait=True, timeout=10)
            of_asyncpg = await asyncpg.create_pool(databases, min_size=1)
        with pool.connection() as connection:
            names = [_first(connection), await of_asyncpg.fetchval(NAME)]
        pool.close()
        await of_asyncpg.close()
        return names

    with redirect.to(server.url(TESTS)):
        assert asyncio.run(ask()) == [TESTS, TESTS]


def test_connections_of_the_harness_are_not_redirected(redirect: Redirect, server: Server) -> None:
    with redirect.to(server.url(TESTS)), redirect.refusing("No."), server.connect(NEXT) as connection:
        assert connection.info.dbname == NEXT


def test_a_connection_to_a_wrong_database_is_closed(redirect: Redirect, server: Server, databases: str) -> None:
    redirect.stop()
    made: list[Any] = []
    kept, of_psycopg = asyncpg.connect, psycopg.connect
    redirect.listen()

    async def connect() -> Any:
        made.append(await kept(databases))
        return made[-1]

    def connect_sync() -> Any:
        made.append(of_psycopg(databases))
        return made[-1]

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect)
    sync_engine = create_engine("postgresql+psycopg://", creator=connect_sync)

    async def ask() -> None:
        with pytest.raises(WrongDatabaseError, match=r'to database "developers".*, which is not the test database'):
            await of_engine(engine)
        with pytest.raises(WrongDatabaseError, match="which is not the test database"):
            await of_sync_engine(sync_engine)
        assert [made[0].is_closed(), made[1].closed] == [True, True]

    with redirect.to(server.url(TESTS)):
        asyncio.run(ask())


def test_a_connection_to_the_right_database_is_accepted(redirect: Redirect, server: Server) -> None:
    redirect.stop()
    kept = asyncpg.connect
    redirect.listen()
    dsn = f"postgresql://postgres@/{TESTS}?host={server.host}"
    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: kept(dsn))

    with redirect.to(server.url(TESTS)):
        assert asyncio.run(of_engine(engine)) == TESTS


def test_sqlite_is_not_redirected(redirect: Redirect) -> None:
    with create_engine("sqlite://").connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


def test_stop_restores_the_drivers() -> None:
    def patched() -> list[Any]:
        classes = [psycopg.Connection, psycopg.AsyncConnection]
        functions = [asyncpg.connect, asyncpg.connection.connect, psycopg.connect, psycopg2.connect]
        return [*functions, vars(asyncpg.Pool)["_acquire"], *(vars(cls)["connect"] for cls in classes)]

    before = patched()
    redirect = Redirect()
    redirect.listen()
    redirect.listen()
    assert not any(now is then for now, then in zip(patched(), before, strict=True))

    redirect.stop()

    assert patched() == before
