"""What a commit ends, and all the ways to the database: the same in a savepoint test and in a database of its own."""

import asyncio
from typing import Any

import pytest
from httpx import AsyncClient
from sample.models import User
from sample.settings import Settings
from sqlalchemy import Engine, event, func, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session

from tests.harness.postgres.server import Server
from tests.harness.transaction.raw_connection import RawConnection

SessionFactory = async_sessionmaker[AsyncSession]
MODES = pytest.mark.parametrize("mode", ["savepoint", pytest.param("own", marks=pytest.mark.own_database)])

ADDRESS = "postgresql://somebody@nowhere/db"
DRIVER = Settings(_env_file=None, database_url=ADDRESS).database.drivername
# As a module of the application has it.
ENGINE = create_async_engine(f"{DRIVER}://somebody@nowhere/db")
COUNT = select(func.count()).select_from(User)
TENANT = text("SELECT coalesce(current_setting('app.tenant', true), '')")
CHOOSE = text("SELECT set_config('app.tenant', :tenant, true)")

ADD_USER = """
    CREATE FUNCTION add_user(email text) RETURNS void LANGUAGE sql
    AS $$ INSERT INTO users (email) VALUES (email) $$
"""


async def users(session: AsyncSession) -> list[str]:
    return list((await session.scalars(select(User.email).order_by(User.id))).all())


@MODES
async def test_a_setting_ends_with_its_transaction(session_factory: SessionFactory, mode: str) -> None:
    async with session_factory.begin() as session:
        await session.execute(CHOOSE, {"tenant": "7"})
        assert await session.scalar(TENANT) == "7"
    async with session_factory() as session:
        assert await session.scalar(TENANT) == ""
        await session.execute(text("SET LOCAL app.tenant = '8'"))
        await session.rollback()
        assert await session.scalar(TENANT) == ""


@MODES
async def test_another_session_does_not_have_it_meanwhile(session_factory: SessionFactory, mode: str) -> None:
    async with session_factory() as one, session_factory() as other:
        await one.execute(CHOOSE, {"tenant": "7"})
        assert await other.scalar(TENANT) == ""
        await other.execute(CHOOSE, {"tenant": "8"})
        assert [await one.scalar(TENANT), await other.scalar(TENANT)] == ["7", "8"]
        await other.commit()
        assert [await one.scalar(TENANT), await other.scalar(TENANT)] == ["7", ""]


@MODES
async def test_a_session_keeps_it_when_another_is_rolled_back(session_factory: SessionFactory, mode: str) -> None:
    async with session_factory() as one, session_factory() as other:
        await one.execute(insert(User).values(email="lost@example.com"))
        await other.execute(CHOOSE, {"tenant": "8"})
        await one.rollback()
        assert await other.scalar(TENANT) == "8"


@MODES
async def test_savepoints_as_sql(session_factory: SessionFactory, db_session: AsyncSession, mode: str) -> None:
    async with session_factory() as session:
        for statement in ("SAVEPOINT a", "ROLLBACK TO SAVEPOINT a", "RELEASE SAVEPOINT a"):
            await session.execute(text(statement))
        async with session.begin_nested():
            await session.scalar(COUNT)
            await db_session.scalar(COUNT)


@MODES
async def test_a_role_ends_with_its_transaction(
    session_factory: SessionFactory, db_session: AsyncSession, mode: str
) -> None:
    async with session_factory.begin() as session:
        await session.execute(text("SET LOCAL ROLE pg_monitor"))
        assert await session.scalar(text("SELECT current_user")) == "pg_monitor"

    assert await db_session.scalar(text("SELECT current_user")) != "pg_monitor"
    assert await db_session.scalar(COUNT) == 0


@MODES
async def test_a_temporary_table_ends_with_its_transaction(session_factory: SessionFactory, mode: str) -> None:
    for _ in range(2):
        async with session_factory.begin() as session:
            await session.execute(text("CREATE TEMPORARY TABLE staging (id int) ON COMMIT DROP"))
    async with session_factory() as session:
        await session.execute(text("CREATE TEMPORARY TABLE kept (id int) ON COMMIT DELETE ROWS"))
        await session.execute(text("INSERT INTO kept VALUES (1)"))
        await session.commit()
        assert (await session.execute(text("SELECT * FROM kept"))).all() == []


@MODES
async def test_read_only_ends_with_its_transaction(
    session_factory: SessionFactory, engine: AsyncEngine, mode: str
) -> None:
    async with session_factory() as session:
        await session.execute(text("SET TRANSACTION READ ONLY"))
        with pytest.raises(DBAPIError, match="read-only"):
            await session.execute(insert(User).values(email="ada@example.com"))
        await session.rollback()
        await session.execute(insert(User).values(email="ada@example.com"))
        await session.commit()
    async with engine.execution_options(postgresql_readonly=True).connect() as connection:
        with pytest.raises(DBAPIError, match="read-only"):
            await connection.execute(insert(User).values(email="grace@example.com"))


@MODES
async def test_a_function_that_writes_is_rolled_back(
    session_factory: SessionFactory, db_session: AsyncSession, mode: str
) -> None:
    async with session_factory.begin() as session:
        await session.execute(text(ADD_USER))
    async with session_factory() as session:
        await session.execute(text("SELECT add_user('lost@example.com')"))
        await session.execute(text("SET search_path TO pg_catalog"))
        await session.rollback()
        assert await session.scalar(text("SHOW search_path")) != "pg_catalog"

    assert await users(db_session) == []


@MODES
async def test_a_select_that_makes_a_table_is_rolled_back(
    session_factory: SessionFactory, db_session: AsyncSession, mode: str
) -> None:
    async with session_factory() as session:
        await session.execute(text("SELECT 1 AS id INTO extra"))
        await db_session.scalar(COUNT)
        await session.rollback()

    assert await db_session.scalar(text("SELECT to_regclass('extra')")) is None


@MODES
@pytest.mark.parametrize("read", ["SELECT\n1", "SELECT 'update'", "SELECT 1 -- into"])
async def test_a_write_beside_a_read(
    session_factory: SessionFactory, db_session: AsyncSession, read: str, mode: str
) -> None:
    async with session_factory() as session:
        async with session.begin_nested():
            await session.execute(text(read))
        async with session_factory() as other:
            await other.execute(insert(User).values(email="ada@example.com"))
            await other.commit()
        await session.rollback()

    assert await users(db_session) == ["ada@example.com"]


@MODES
async def test_a_session_that_writes_when_it_ends_inside_of_another(
    session_factory: SessionFactory, db_session: AsyncSession, mode: str
) -> None:
    async with session_factory() as session:
        session.add(User(email="a@example.com"))
        await session.flush()
        async with session_factory.begin() as other:
            other.add(User(email="b@example.com"))
        await session.commit()

    assert await users(db_session) == ["a@example.com", "b@example.com"]


@MODES
async def test_streams_at_once(session_factory: SessionFactory, mode: str) -> None:
    async def streamed() -> int:
        async with session_factory() as session:
            return len([row async for row in await session.stream(text("SELECT generate_series(1, 300)"))])

    assert await asyncio.gather(streamed(), streamed()) == [300, 300]


@MODES
async def test_each_way_to_begin(session_factory: SessionFactory, db_session: AsyncSession, mode: str) -> None:
    async with db_session.begin():
        db_session.add(User(email="a@example.com"))
    async with session_factory.begin() as session:
        session.add(User(email="b@example.com"))
    async with session_factory() as session, session.begin():
        session.add(User(email="c@example.com"))
    async with session_factory() as session:
        session.add(User(email="d@example.com"))
        await session.commit()
        await session.close()
        session.add(User(email="e@example.com"))
        await session.commit()
    async with session_factory() as session:
        for email in ("a@example.com", "f@example.com"):
            try:
                session.add(User(email=email))
                await session.commit()
            except IntegrityError:
                await session.rollback()

    assert await users(db_session) == [f"{letter}@example.com" for letter in "abcdef"]


@MODES
async def test_core(engine: AsyncEngine, db_session: AsyncSession, mode: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(insert(User).values(email="a@example.com"))
    async with engine.connect() as connection:
        await connection.execute(insert(User).values(email="lost@example.com"))
    async with engine.connect() as connection:
        await connection.execute(insert(User).values(email="b@example.com"))
        await connection.commit()

    assert await users(db_session) == ["a@example.com", "b@example.com"]


@MODES
async def test_autocommit(engine: AsyncEngine, db_session: AsyncSession, mode: str) -> None:
    async with engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(insert(User).values(email="a@example.com"))
        with pytest.raises(IntegrityError):
            await connection.execute(insert(User).values(email="a@example.com"))
        await connection.execute(insert(User).values(email="b@example.com"))
        await connection.rollback()

    assert await users(db_session) == ["a@example.com", "b@example.com"]


@MODES
async def test_the_driver(session_factory: SessionFactory, db_session: AsyncSession, mode: str) -> None:
    async with session_factory() as session:
        connection = await session.connection()
        await session.scalar(COUNT)
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await driver.execute("INSERT INTO users (email) VALUES ('a@example.com')")
        async with driver.transaction():
            await driver.execute("INSERT INTO users (email) VALUES ('b@example.com')")
        with pytest.raises(LookupError):
            async with driver.transaction():
                await driver.execute("INSERT INTO users (email) VALUES ('lost@example.com')")
                raise LookupError
        await session.commit()
    async with session_factory() as session:
        connection = await session.connection()
        driver = (await connection.get_raw_connection()).driver_connection
        await session.execute(insert(User).values(email="c@example.com"))
        await driver.execute("INSERT INTO users (email) VALUES ('lost@example.com')")
        await session.rollback()

    assert await users(db_session) == ["a@example.com", "b@example.com"]


@MODES
@pytest.mark.parametrize("level", ["READ COMMITTED", "AUTOCOMMIT"])
async def test_the_driver_alone(db_session: AsyncSession, level: str, mode: str) -> None:
    engine = create_async_engine(f"{DRIVER}://somebody@nowhere/db", isolation_level=level)
    async with engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await driver.execute("INSERT INTO users (email) VALUES ('a@example.com')")
        if DRIVER == "postgresql+psycopg":
            # asyncpg's is in autocommit by itself.
            await driver.commit()
        await connection.scalar(COUNT)
        await connection.rollback()
        async with driver.transaction():
            await driver.execute("INSERT INTO users (email) VALUES ('b@example.com')")
    async with engine.begin() as connection:
        await connection.execute(insert(User).values(email="c@example.com"))
    await engine.dispose()

    assert await users(db_session) == ["a@example.com", "b@example.com", "c@example.com"]


class Routing(Session):
    """As for reads from a replica."""

    def get_bind(self, *arguments: Any, **options: Any) -> Engine:
        return ENGINE.sync_engine


@MODES
async def test_other_factories_and_engines(db_session: AsyncSession, mode: str) -> None:
    async with async_sessionmaker(ENGINE).begin() as session:
        session.add(User(email="a@example.com"))
    async with async_sessionmaker(sync_session_class=Routing)() as session:
        assert await session.scalar(COUNT) == 1
    async with ENGINE.connect() as connection:
        assert await connection.scalar(COUNT) == 1

    assert await users(db_session) == ["a@example.com"]


@pytest.mark.parametrize("repeat", [1, 2])
async def test_an_engine_and_no_fixture_of_the_harness(repeat: int) -> None:
    async with ENGINE.begin() as connection:
        await connection.execute(insert(User).values(email="a@example.com"))
    async with ENGINE.connect() as connection:
        assert await connection.scalar(COUNT) == 1


async def add(email: str) -> None:
    """A command, with an engine of its own."""
    engine = create_async_engine(f"{DRIVER}://somebody@nowhere/db")
    async with engine.begin() as connection:
        await connection.execute(insert(User).values(email=email))
    await engine.dispose()


@pytest.mark.own_database
@pytest.mark.parametrize("repeat", [1, 2])
def test_a_command_and_nothing_but_the_mark(repeat: int) -> None:
    asyncio.run(add("a@example.com"))


async def test_a_column_that_is_added(session_factory: SessionFactory, db_session: AsyncSession) -> None:
    assert (await db_session.execute(text("SELECT * FROM users"))).all() == []
    await db_session.commit()
    async with session_factory.begin() as session:
        await session.execute(text("ALTER TABLE users ADD COLUMN nickname text"))


async def test_is_gone_in_the_next_test(db_session: AsyncSession) -> None:
    columns = (await db_session.execute(text("SELECT * FROM users"))).keys()
    assert "nickname" not in columns


@MODES
async def test_savepoints_with_others_inside(
    session_factory: SessionFactory, db_session: AsyncSession, mode: str
) -> None:
    async with session_factory() as session:
        async with session.begin_nested():
            await session.execute(insert(User).values(email="a@example.com"))
            async with session_factory.begin() as other:
                await other.execute(insert(User).values(email="b@example.com"))
            nested = await session.begin_nested()
            await session.execute(insert(User).values(email="lost@example.com"))
            await db_session.scalar(COUNT)
            await nested.rollback()
        for name in ("one", "two"):
            await session.execute(text(f"SAVEPOINT {name}"))
            await session.execute(insert(User).values(email="lost@example.com"))
            await session.execute(text(f"ROLLBACK TO {name}"))
            await session.execute(text(f"ROLLBACK TO {name}"))
        await session.execute(text("RELEASE one"))
        await session.commit()

    assert await users(db_session) == ["a@example.com", "b@example.com"]


@MODES
@pytest.mark.parametrize("sql", ["SELECT 1 -- never SET LOCAL here", "SELECT 'SET LOCAL pickup'"])
async def test_words_that_set_nothing(session_factory: SessionFactory, sql: str, mode: str) -> None:
    async with session_factory.begin() as session:
        await session.execute(text(sql))


@MODES
async def test_a_setting_of_the_connection(engine: AsyncEngine, mode: str) -> None:
    async with engine.connect() as connection:
        await connection.execute(select(func.set_config("app.tenant", "5", False)))
        await connection.commit()
        assert await connection.scalar(TENANT) == "5"


@MODES
async def test_a_role_that_does_not_know_a_deferred_constraint(
    session_factory: SessionFactory, db_session: AsyncSession, mode: str
) -> None:
    await db_session.execute(text("CREATE SCHEMA audit"))
    await db_session.execute(
        text("CREATE TABLE audit.a (id int PRIMARY KEY, b int REFERENCES audit.a DEFERRABLE INITIALLY DEFERRED)")
    )
    await db_session.execute(text("GRANT ALL ON users TO pg_monitor"))
    await db_session.execute(text("GRANT ALL ON SEQUENCE users_id_seq TO pg_monitor"))
    await db_session.commit()
    async with session_factory.begin() as session:
        await session.execute(text("SET LOCAL ROLE pg_monitor"))
        await session.execute(insert(User).values(email="ada@example.com"))


@MODES
async def test_an_error_of_the_driver(session_factory: SessionFactory, db_session: AsyncSession, mode: str) -> None:
    db_session.add(User(email="a@example.com"))
    await db_session.commit()
    async with session_factory() as session:
        driver: Any = (await (await session.connection()).get_raw_connection()).driver_connection
        with pytest.raises(Exception, match="duplicate key"):
            await driver.execute("INSERT INTO users (email) VALUES ('a@example.com')")
        async with session_factory.begin() as log:
            log.add(User(email="log@example.com"))
        if DRIVER == "postgresql+psycopg":
            await driver.rollback()
        await session.rollback()

    assert await users(db_session) == ["a@example.com", "log@example.com"]


CIRCLE = "CREATE TABLE circle (id int PRIMARY KEY, next int REFERENCES circle DEFERRABLE INITIALLY DEFERRED)"


@MODES
async def test_a_session_after_a_commit_that_has_failed(
    session_factory: SessionFactory, db_session: AsyncSession, mode: str
) -> None:
    await db_session.execute(text(CIRCLE))
    await db_session.commit()
    with pytest.raises(IntegrityError):
        async with session_factory.begin() as session:
            await session.execute(text("INSERT INTO circle VALUES (1, 2)"))
    async with session_factory.begin() as session:
        session.add(User(email="ada@example.com"))

    assert await users(db_session) == ["ada@example.com"]


@pytest.mark.parametrize("number", [1, 2])
async def test_a_transaction_that_is_cancelled_while_it_begins_or_ends(
    session_factory: SessionFactory, db_session: AsyncSession, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    async def add(email: str) -> None:
        async with session_factory() as session:
            await session.execute(insert(User).values(email=email))
            await session.commit()

    send, sent = RawConnection.send, []

    async def send_and_cancel(self: RawConnection, *statements: str) -> None:
        sent.append(statements)
        if len(sent) == number:
            asyncio.get_running_loop().call_soon(task.cancel)
        await send(self, *statements)

    await add("a@example.com")
    with monkeypatch.context() as patch, pytest.raises(asyncio.CancelledError):
        patch.setattr(RawConnection, "send", send_and_cancel)
        task = asyncio.create_task(add("b@example.com"))
        await task
    await add("c@example.com")

    # A commit that is cancelled may have been one.
    assert {*await users(db_session)} - {"b@example.com"} == {"a@example.com", "c@example.com"}


async def test_a_connection_that_cannot_be_set_up(client: AsyncClient) -> None:
    def set_up(connection: Any, record: object) -> None:
        connection.cursor().execute("SELECT nonsense")

    await ENGINE.dispose()
    event.listen(ENGINE.sync_engine, "connect", set_up)
    with pytest.raises(Exception, match="nonsense"):
        await ENGINE.connect()
    event.remove(ENGINE.sync_engine, "connect", set_up)


async def test_a_connection_that_the_server_cuts(engine: AsyncEngine, request: pytest.FixtureRequest) -> None:
    async with engine.begin() as connection:
        await connection.execute(insert(User).values(email="lost@example.com"))
        pid = await connection.scalar(text("SELECT pg_backend_pid()"))
    server: Server = request.getfixturevalue("_server")
    with server.connect() as by_hand:
        by_hand.execute("SELECT pg_terminate_backend(%s)", [pid])


@pytest.mark.parametrize("repeat", [1, 2])
async def test_all_is_well_afterwards(db_session: AsyncSession, client: AsyncClient, repeat: int) -> None:
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201
    assert await users(db_session) == ["ada@example.com"]


@pytest.fixture
async def seeded(anyio_backend: str, engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(insert(User).values(email="fixture@example.com"))


@MODES
async def test_rows_of_a_fixture(seeded: None, db_session: AsyncSession, mode: str) -> None:
    assert await users(db_session) == ["fixture@example.com"]


@MODES
async def test_nothing_is_left_by_any_of_them(db_session: AsyncSession, mode: str) -> None:
    assert await users(db_session) == []
