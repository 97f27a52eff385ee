"""What a savepoint test cannot hold: each of these fails, with the words that `../test_savepoint.py` expects."""

import asyncio
import contextlib

import pytest
from httpx import AsyncClient
from sample.models import User
from sample.settings import Settings
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

SessionFactory = async_sessionmaker[AsyncSession]
DRIVER = Settings(_env_file=None, database_url="postgresql://somebody@nowhere/db").database.drivername
ENGINE = create_async_engine(f"{DRIVER}://somebody@nowhere/db")


async def test_gathered_requests(client: AsyncClient) -> None:
    await asyncio.gather(*[client.post("/users", json={"email": f"user{number}@example.com"}) for number in range(4)])


async def test_gathered_requests_whose_errors_are_swallowed(client: AsyncClient) -> None:
    await asyncio.gather(
        *[client.post("/users", json={"email": f"user{number}@example.com"}) for number in range(4)],
        return_exceptions=True,
    )


async def test_flush_inside_a_session_of_the_application(
    session_factory: SessionFactory, db_session: AsyncSession
) -> None:
    async with session_factory() as session:
        session.add(User(email="first@example.com"))
        await session.flush()
        db_session.add(User(email="second@example.com"))
        await db_session.flush()


async def test_insert_inside_a_session_of_the_application(
    session_factory: SessionFactory, db_session: AsyncSession
) -> None:
    async with session_factory() as session:
        session.add(User(email="first@example.com"))
        await session.flush()
        await db_session.execute(insert(User).values(email="second@example.com"))


async def test_deferred_constraint(session_factory: SessionFactory) -> None:
    async with session_factory() as session:
        await session.execute(
            text("CREATE TABLE node (id int PRIMARY KEY, parent int REFERENCES node DEFERRABLE INITIALLY DEFERRED)")
        )
        await session.execute(text("INSERT INTO node VALUES (1, 2)"))
        await session.commit()


async def test_a_commit_while_another_session_violates_a_deferred_constraint(
    session_factory: SessionFactory, db_session: AsyncSession
) -> None:
    await db_session.execute(
        text("CREATE TABLE node (id int PRIMARY KEY, parent int REFERENCES node DEFERRABLE INITIALLY DEFERRED)")
    )
    await db_session.commit()
    await db_session.execute(text("INSERT INTO node VALUES (1, 2)"))
    async with session_factory.begin() as session:
        session.add(User(email="ada@example.com"))


async def test_a_deferred_constraint_that_a_function_violates(
    session_factory: SessionFactory, db_session: AsyncSession
) -> None:
    await db_session.execute(
        text("CREATE TABLE node (id int PRIMARY KEY, parent int REFERENCES node DEFERRABLE INITIALLY DEFERRED)")
    )
    await db_session.execute(
        text("CREATE FUNCTION add_node() RETURNS void LANGUAGE sql AS 'INSERT INTO node VALUES (1, 2)'")
    )
    await db_session.commit()
    async with session_factory.begin() as session:
        await session.execute(text("SELECT add_node()"))


async def test_a_task_that_outlives_its_test(session_factory: SessionFactory) -> None:
    async def use_the_database() -> None:
        async with session_factory() as session:
            await session.execute(text("SELECT pg_sleep(60)"))

    task = asyncio.create_task(use_the_database())
    while not task.done():
        await asyncio.sleep(0.1)
        break


async def test_a_commit_inside_a_session_that_is_rolled_back(session_factory: SessionFactory) -> None:
    async with session_factory() as session:
        session.add(User(email="outer@example.com"))
        await session.flush()
        async with session_factory() as audit:
            audit.add(User(email="audit@example.com"))
            await audit.commit()
        await session.rollback()


async def test_a_commit_inside_that_was_released_since(session_factory: SessionFactory, engine: AsyncEngine) -> None:
    async with session_factory() as session, session_factory() as audit, session_factory() as other:
        reader = await engine.connect()
        for number, writer in enumerate([session, audit, other]):
            await writer.execute(insert(User).values(email=f"user{number}@example.com"))
        await audit.commit()
        await other.rollback()
        await reader.execute(text("SELECT 1"))
        await reader.close()
        await session.rollback()


async def test_a_commit_inside_a_session_that_has_failed(
    session_factory: SessionFactory, db_session: AsyncSession
) -> None:
    async with session_factory() as session:
        await session.execute(insert(User).values(email="outer@example.com"))
        async with session_factory() as audit:
            await audit.execute(insert(User).values(email="audit@example.com"))
            await audit.commit()
        with pytest.raises(IntegrityError):
            await session.execute(insert(User).values(email="outer@example.com"))
        await db_session.execute(text("SELECT 1"))


async def test_a_commit_inside_a_savepoint_that_is_rolled_back(session_factory: SessionFactory) -> None:
    async with session_factory() as session:
        savepoint = await session.begin_nested()
        await session.execute(text("SELECT 1"))
        async with session_factory() as audit:
            audit.add(User(email="audit@example.com"))
            await audit.commit()
        await savepoint.rollback()


async def test_a_request_inside_a_savepoint_of_the_test_that_is_rolled_back(
    client: AsyncClient, db_session: AsyncSession
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with db_session.begin_nested():
            # SQLAlchemy sends a session's SAVEPOINT with its first statement.
            await db_session.execute(text("SELECT 1"))
            await client.post("/users", json={"email": "ada@example.com"})
            raise ZeroDivisionError


async def test_a_flush_inside_a_savepoint_that_is_rolled_back(session_factory: SessionFactory) -> None:
    async with session_factory() as session, session_factory() as other:
        savepoint = await session.begin_nested()
        await session.execute(text("SELECT 1"))
        other.add(User(email="other@example.com"))
        await other.flush()
        await savepoint.rollback()
        await other.commit()


async def test_a_flush_inside_a_savepoint_that_is_released(session_factory: SessionFactory) -> None:
    async with session_factory() as session, session_factory() as other:
        async with session.begin_nested():
            await session.execute(text("SELECT 1"))
            other.add(User(email="other@example.com"))
            await other.flush()
        await other.rollback()


async def test_writing_after_a_failed_flush(db_session: AsyncSession) -> None:
    db_session.add(User(email="ada@example.com"))
    await db_session.commit()
    db_session.add(User(email="ada@example.com"))
    with pytest.raises(IntegrityError):
        await db_session.flush()

    db_session.add(User(email="grace@example.com"))
    await db_session.flush()


async def test_another_isolation_level(session_factory: SessionFactory) -> None:
    async with session_factory() as session:
        await session.connection(execution_options={"isolation_level": "SERIALIZABLE"})
        await session.execute(text("SELECT 1"))


async def test_a_task_group_of_sessions_that_write(session_factory: SessionFactory) -> None:
    async def write(number: int) -> None:
        async with session_factory() as session:
            session.add(User(email=f"user{number}@example.com"))
            await session.flush()
            await session.commit()

    async with asyncio.TaskGroup() as group:
        group.create_task(write(1))
        group.create_task(write(2))


async def test_a_commit_as_sql(session_factory: SessionFactory) -> None:
    async with session_factory() as session:
        session.add(User(email="ada@example.com"))
        await session.flush()
        await session.execute(text("COMMIT"))


async def test_a_commit_by_the_driver(session_factory: SessionFactory) -> None:
    async with session_factory() as session:
        session.add(User(email="ada@example.com"))
        await session.flush()
        driver = (await (await session.connection()).get_raw_connection()).driver_connection
        await driver.execute("COMMIT")


async def test_a_commit_by_the_driver_and_no_fixture_of_the_harness() -> None:
    async with ENGINE.begin() as connection:
        await connection.execute(insert(User).values(email="ada@example.com"))
        driver = (await connection.get_raw_connection()).driver_connection
        await driver.execute("COMMIT")


@pytest.mark.parametrize("sql", ["COMMIT; BEGIN", "COMMIT AND CHAIN"])
async def test_the_driver_commits_and_begins_again(session_factory: SessionFactory, sql: str) -> None:
    async with session_factory() as session:
        session.add(User(email="ada@example.com"))
        await session.flush()
        driver = (await (await session.connection()).get_raw_connection()).driver_connection
        await driver.execute(sql)
        await session.commit()


async def test_the_driver_begins_again_and_its_error_is_caught(session_factory: SessionFactory) -> None:
    async with session_factory() as session:
        await session.execute(text("INSERT INTO users (email) VALUES ('ada@example.com')"))
        driver = (await (await session.connection()).get_raw_connection()).driver_connection
        await driver.execute("ROLLBACK; BEGIN")
        with contextlib.suppress(Exception):
            await session.rollback()


async def test_a_connection_that_is_lost_after_a_commit(session_factory: SessionFactory) -> None:
    async with session_factory() as session:
        session.add(User(email="lost@example.com"))
        await session.commit()
    with pytest.raises(DBAPIError):
        async with session_factory() as session:
            await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    async with session_factory() as session:
        assert (await session.scalars(select(User.email))).all() == ["lost@example.com"]


@pytest.fixture
async def commits(anyio_backend: str, session_factory: SessionFactory) -> None:
    async with session_factory() as session:
        await session.execute(text("COMMIT"))


async def test_a_commit_as_sql_in_a_fixture(commits: None) -> None:
    pass


async def test_a_session_that_is_left_open(session_factory: SessionFactory) -> None:
    session = session_factory()
    await session.execute(text("SELECT 1"))
    globals()["kept"] = session


async def test_an_error_that_is_swallowed(session_factory: SessionFactory) -> None:
    async with session_factory() as session:
        with pytest.raises(IntegrityError):
            await session.execute(insert(User), [{"email": "ada@example.com"}, {"email": "ada@example.com"}])
        await session.commit()


async def test_an_error_that_is_swallowed_while_another_session_writes(session_factory: SessionFactory) -> None:
    async with session_factory() as session, session_factory() as log:
        with pytest.raises(IntegrityError):
            await session.execute(insert(User), [{"email": "ada@example.com"}, {"email": "ada@example.com"}])
        log.add(User(email="log@example.com"))
        await log.commit()
        await session.commit()


async def test_a_synchronous_engine(client: AsyncClient) -> None:
    engine = create_engine("postgresql+psycopg://somebody@nowhere/db")
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))


def test_another_event_loop(db_session: AsyncSession) -> None:
    async def command() -> None:
        engine = create_async_engine("postgresql+asyncpg://somebody@nowhere/db")
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    asyncio.run(command())


@pytest.fixture(scope="module")
async def of_module(anyio_backend: str, session_factory: SessionFactory) -> None:
    async with session_factory.begin() as session:
        session.add(User(email="module@example.com"))


async def test_a_fixture_of_a_wider_scope_writes(of_module: None, client: AsyncClient) -> None:
    pass


# Three, since pytest keeps the error of a fixture for later tests.
@pytest.fixture(scope="module")
async def late_in_savepoint(anyio_backend: str, session_factory: SessionFactory) -> None:
    async with session_factory.begin() as session:
        session.add(User(email="module@example.com"))


@pytest.fixture(scope="module")
async def late_in_own_database(anyio_backend: str, session_factory: SessionFactory) -> None:
    async with session_factory.begin() as session:
        session.add(User(email="module@example.com"))


@pytest.fixture(scope="module")
async def late_and_first(anyio_backend: str) -> None:
    async with ENGINE.begin() as connection:
        await connection.execute(insert(User).values(email="module@example.com"))


def test_a_late_fixture_of_a_wider_scope_writes(db_session: AsyncSession, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("late_in_savepoint")


@pytest.mark.own_database
def test_a_late_fixture_writes_to_a_database_of_the_test(
    db_session: AsyncSession, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("late_in_own_database")


def test_a_late_fixture_connects_first(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("late_and_first")


@pytest.mark.own_database
async def test_a_connection_of_a_database_of_its_own_that_is_kept(session_factory: SessionFactory) -> None:
    session = session_factory()
    await session.execute(text("SELECT 1"))
    globals()["kept"] = session


async def test_after_it_all_is_well(client: AsyncClient) -> None:
    """Passes: the connections of the tests above are not handed on."""
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201


async def test_z_nothing_has_leaked(db_session: AsyncSession) -> None:
    """Passes: none of the commits above was real."""
    assert await db_session.scalar(text("SELECT count(*) FROM users")) == 0
