"""What is right in a savepoint test, and has to pass."""

import asyncio
import contextlib

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sample.deps import get_db
from sample.main import create_app
from sample.models import User
from sample.settings import Settings
from sqlalchemy import event, func, select, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from tests.harness import RunningApp

SessionFactory = async_sessionmaker[AsyncSession]


async def users(session: AsyncSession) -> list[str]:
    return list((await session.scalars(select(User.email).order_by(User.id))).all())


@pytest.fixture(scope="module")
def recording(application_engine: AsyncEngine) -> AsyncEngine:
    recording = create_async_engine(f"{application_engine.url.drivername}://somebody@nowhere/db")

    @event.listens_for(recording.sync_engine, "connect")
    def record(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute("SET application_name = 'recorded'")
        cursor.execute("INSERT INTO users (email) VALUES ('connected@example.com')")
        cursor.close()
        connection.commit()

    return recording


# The first test, since the first engine that connects opens the shared connection.
async def test_time_limits_of_a_transaction_do_not_end_that_of_the_test(engine: AsyncEngine) -> None:
    names = ("idle_in_transaction_session_timeout", "transaction_timeout")
    options: dict[str, object] = {"options": " ".join(f"-c {name}=50" for name in names)}
    if "asyncpg" in engine.url.drivername:
        options = {"server_settings": dict.fromkeys(names, "50")}
    limited = create_async_engine(f"{engine.url.drivername}://somebody@nowhere/db", connect_args=options)
    async with limited.begin() as connection:
        await connection.execute(text("INSERT INTO users (email) VALUES ('ada@example.com')"))
    await asyncio.sleep(0.2)
    async with limited.begin() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM users")) == 1
    await limited.dispose()


@pytest.mark.parametrize("repeat", [1, 2])
async def test_a_commit_of_the_application_is_seen_and_gone_after_the_test(
    client: AsyncClient, db_session: AsyncSession, repeat: int
) -> None:
    assert await users(db_session) == []

    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201

    assert await users(db_session) == ["ada@example.com"]


async def test_a_rollback_of_the_application_leaves_the_tests_rows(
    session_factory: SessionFactory, db_session: AsyncSession
) -> None:
    db_session.add(User(email="kept@example.com"))
    await db_session.commit()

    async with session_factory() as session:
        session.add(User(email="lost@example.com"))
        await session.flush()
        await session.rollback()
        session.add(User(email="second@example.com"))
        await session.commit()

    assert await users(db_session) == ["kept@example.com", "second@example.com"]


async def test_the_application_goes_on_after_an_integrity_error(
    session_factory: SessionFactory, db_session: AsyncSession
) -> None:
    db_session.add(User(email="ada@example.com"))
    await db_session.commit()

    async with session_factory() as session:
        session.add(User(email="ada@example.com"))
        with pytest.raises(IntegrityError):
            await session.commit()
        await session.rollback()
        session.add(User(email="grace@example.com"))
        await session.commit()

    assert await users(db_session) == ["ada@example.com", "grace@example.com"]


async def test_a_forgotten_commit_is_not_seen(session_factory: SessionFactory, db_session: AsyncSession) -> None:
    async with session_factory() as session:
        session.add(User(email="forgotten@example.com"))
        await session.flush()

    assert await users(db_session) == []


async def test_a_forgotten_flush_is_not_seen(session_factory: SessionFactory, db_session: AsyncSession) -> None:
    async with session_factory() as session:
        session.add(User(email="forgotten@example.com"))

        assert await users(db_session) == []


async def test_an_update_of_the_application_is_read_not_remembered(
    session_factory: SessionFactory, db_session: AsyncSession
) -> None:
    user = User(email="old@example.com")
    db_session.add(user)
    await db_session.commit()

    async with session_factory() as session:
        (await session.get_one(User, user.id)).email = "new@example.com"
        await session.commit()
    await db_session.scalar(select(User).where(User.id == user.id))

    assert user.email == "new@example.com"


async def test_a_row_is_read_anew_by_its_key_too(session_factory: SessionFactory, db_session: AsyncSession) -> None:
    user = User(email="old@example.com")
    db_session.add(user)
    await db_session.commit()

    async with session_factory() as session:
        (await session.get_one(User, user.id)).email = "new@example.com"
        await session.commit()
    assert (await db_session.get_one(User, user.id)).email == "new@example.com"

    async with session_factory() as session:
        await session.delete(await session.get_one(User, user.id))
        await session.commit()
    assert await db_session.get(User, user.id) is None


async def test_sql_that_reads_while_a_session_of_the_application_is_open(
    session_factory: SessionFactory, db_session: AsyncSession
) -> None:
    async with session_factory() as session:
        session.add(User(email="ada@example.com"))
        await session.flush()
        assert await db_session.scalar(text("  SELECT count(*) FROM users")) == 1
        await session.commit()


async def test_nested_transactions_of_one_session_roll_back_together(
    session_factory: SessionFactory, db_session: AsyncSession
) -> None:
    async with session_factory() as session:
        async with session.begin_nested():
            session.add(User(email="lost@example.com"))
        await session.rollback()

    assert await users(db_session) == []


async def test_a_statement_that_is_cancelled_at_the_end(session_factory: SessionFactory) -> None:
    with pytest.raises(TimeoutError):
        async with session_factory() as session, asyncio.timeout(0.1):
            await session.execute(text("SELECT pg_sleep(60)"))


async def test_an_expected_failure_in_a_nested_transaction(client: AsyncClient, db_session: AsyncSession) -> None:
    db_session.add(User(email="ada@example.com"))
    await db_session.commit()

    with pytest.raises(IntegrityError):
        async with db_session.begin_nested():
            db_session.add(User(email="ada@example.com"))
            await db_session.flush()
    await client.post("/users", json={"email": "grace@example.com"})

    assert await users(db_session) == ["ada@example.com", "grace@example.com"]


async def test_a_request_inside_a_nested_transaction_of_the_test(client: AsyncClient, db_session: AsyncSession) -> None:
    async with db_session.begin_nested():
        await client.post("/users", json={"email": "ada@example.com"})
        db_session.add(User(email="grace@example.com"))
        await db_session.flush()

    assert await users(db_session) == ["ada@example.com", "grace@example.com"]


async def test_sessions_of_one_task_properly_nested(session_factory: SessionFactory, db_session: AsyncSession) -> None:
    async with session_factory() as outer:
        outer.add(User(email="outer@example.com"))
        await outer.flush()
        async with session_factory() as inner:
            inner.add(User(email="inner@example.com"))
            await inner.commit()
        await outer.commit()

    assert await users(db_session) == ["outer@example.com", "inner@example.com"]


async def test_the_tests_session_reads_while_one_of_the_application_is_open_and_goes_on_after_its_rollback(
    session_factory: SessionFactory, db_session: AsyncSession
) -> None:
    await db_session.commit()
    async with session_factory() as session:
        session.add(User(email="lost@example.com"))
        await session.flush()
        assert await users(db_session) == ["lost@example.com"]
        await session.rollback()
    db_session.add(User(email="kept@example.com"))
    await db_session.commit()

    assert await users(db_session) == ["kept@example.com"]


async def test_tasks_one_after_the_other(session_factory: SessionFactory, db_session: AsyncSession) -> None:
    async def add(email: str) -> None:
        async with session_factory() as session:
            session.add(User(email=email))
            await session.commit()

    await asyncio.create_task(add("ada@example.com"))
    await asyncio.create_task(add("grace@example.com"))

    assert await users(db_session) == ["ada@example.com", "grace@example.com"]


async def test_a_statement_that_aborted_the_transaction_is_not_blamed_twice(db_session: AsyncSession) -> None:
    await db_session.connection()
    with pytest.raises(IntegrityError):
        await db_session.execute(text("INSERT INTO users (email) VALUES ('ada@example.com'), ('ada@example.com')"))


async def test_another_engine_goes_to_this_workers_database(client: AsyncClient, engine: AsyncEngine) -> None:
    """Not even the driver's own spelling of an address gets through."""
    options = {"ssl": False, "target_session_attrs": "standby"} if "asyncpg" in engine.url.drivername else {}
    elsewhere = create_async_engine(
        f"{engine.url.drivername}://somebody:secret@db.invalid:6543/production", connect_args=options
    )
    async with elsewhere.connect() as connection:
        name = await connection.scalar(select(func.current_database()))
    await elsewhere.dispose()

    assert str(name).startswith("savepoint_")
    assert name == engine.url.database


async def test_an_engine_with_every_argument(client: AsyncClient, engine: AsyncEngine) -> None:
    options = {"echo": False, "logging_name": "second", "hide_parameters": True, "query_cache_size": 10}
    second = create_async_engine(engine.url, **options, execution_options={"logging_token": "second"})
    async with second.connect() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1


@pytest.fixture
async def replica(running_app: RunningApp, application_engine: AsyncEngine) -> AsyncEngine:
    """A second engine of the application's, as for a replica; it outlives the test that makes it."""
    engine = create_async_engine(f"{application_engine.url.drivername}://somebody@nowhere/db")
    replica: AsyncEngine = running_app.state.setdefault("replica", engine)
    return replica


@pytest.mark.parametrize("mode", ["savepoint", pytest.param("own", marks=pytest.mark.own_database), "savepoint again"])
async def test_a_second_engine_goes_where_the_test_is(
    client: AsyncClient, engine: AsyncEngine, replica: AsyncEngine, mode: str
) -> None:
    async with replica.connect() as connection:
        assert await connection.scalar(select(func.current_database())) == engine.url.database


async def test_an_override_that_is_left_behind(client: AsyncClient, app: FastAPI) -> None:
    app.dependency_overrides[get_db] = lambda: None


async def test_is_gone_in_the_next_test(client: AsyncClient, app: FastAPI) -> None:
    assert app.dependency_overrides == {}
    assert (await client.post("/users", json={"email": "ada@example.com"})).status_code == 201


async def test_time_zone_and_order_of_strings_are_the_harnesses(db_session: AsyncSession) -> None:
    assert await db_session.scalar(text("SHOW timezone")) == "UTC"
    assert await db_session.scalar(text("SELECT 'Z' < 'a'")) is True
    assert await db_session.scalar(text("SELECT upper('é')")) == "É"


def test_a_sync_test_may_use_the_database(db_session: AsyncSession) -> None:
    assert not db_session.new


def test_a_sync_test_without_a_database() -> None:
    assert create_app is not Settings


@pytest.mark.own_database
async def test_gathered_requests_on_a_database_of_its_own(client: AsyncClient, db_session: AsyncSession) -> None:
    answers = await asyncio.gather(
        *[client.post("/users", json={"email": f"user{number}@example.com"}) for number in range(4)]
    )

    assert [answer.status_code for answer in answers] == [201] * 4
    assert len(await users(db_session)) == 4


@pytest.mark.own_database
async def test_a_real_commit_is_seen_by_another_connection(
    client: AsyncClient, db_session: AsyncSession, engine: AsyncEngine
) -> None:
    await client.post("/users", json={"email": "ada@example.com"})

    async with engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(User)) == 1


async def test_sessions_out_of_order(session_factory: SessionFactory) -> None:
    async with session_factory() as first, session_factory() as second:
        first.add(User(email="first@example.com"))
        await first.flush()
        second.add(User(email="second@example.com"))
        await second.flush()
        await first.commit()
        await second.commit()


async def test_commit_after_a_failed_flush(client: AsyncClient, db_session: AsyncSession) -> None:
    db_session.add(User(email="ada@example.com"))
    await db_session.commit()
    db_session.add(User(email="ada@example.com"))
    with pytest.raises(IntegrityError):
        await db_session.flush()

    await client.post("/users", json={"email": "kept@example.com"})


async def test_commit_after_a_rollback_of_the_tests_session(client: AsyncClient, db_session: AsyncSession) -> None:
    await db_session.rollback()

    await client.post("/users", json={"email": "kept@example.com"})


async def test_rollback_of_the_tests_session_whose_error_is_swallowed(
    session_factory: SessionFactory, db_session: AsyncSession
) -> None:
    await db_session.rollback()

    with contextlib.suppress(Exception):
        async with session_factory() as session:
            session.add(User(email="kept@example.com"))
            await session.commit()


async def test_a_commit_of_the_connection_itself(db_session: AsyncSession) -> None:
    connection = await db_session.connection()

    await connection.commit()


async def test_reading_after_a_statement_that_was_cancelled(
    session_factory: SessionFactory, db_session: AsyncSession
) -> None:
    with pytest.raises(TimeoutError):
        async with session_factory() as session, asyncio.timeout(0.1):
            await session.execute(text("SELECT pg_sleep(60)"))

    await db_session.execute(text("SELECT 1"))


async def test_a_task_group_of_sessions_that_read(session_factory: SessionFactory) -> None:
    async def read() -> None:
        async with session_factory() as session:
            await session.execute(text("SELECT pg_sleep(0)"))

    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        group.create_task(read())


async def test_nothing_is_left_by_any_of_them(db_session: AsyncSession) -> None:
    assert await users(db_session) == []


async def test_a_connection_that_is_lost_before_a_commit(session_factory: SessionFactory) -> None:
    with pytest.raises(DBAPIError):
        async with session_factory() as session:
            session.add(User(email="lost@example.com"))
            await session.flush()
            await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    async with session_factory() as session:
        assert await users(session) == []


@pytest.mark.parametrize("repeat", [1, 2])
async def test_a_listener_that_writes_when_it_connects(
    engine: AsyncEngine, db_session: AsyncSession, recording: AsyncEngine, repeat: int
) -> None:
    async with recording.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(User)) == 1
    async with recording.connect() as connection:
        assert await connection.scalar(text("SHOW application_name")) == "recorded"
    assert await db_session.scalar(select(func.count()).select_from(User)) == 1


async def test_what_the_listener_wrote_is_gone(db_session: AsyncSession) -> None:
    assert await db_session.scalar(select(func.count()).select_from(User)) == 0
