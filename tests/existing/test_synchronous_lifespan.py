"""A synchronous service: what a lifespan leaves running, fixtures that connect late, and threads of tests."""

import pytest

from tests.existing.notebook import BOTH, PSYCOPG2, add_lifespan, in_order, written
from tests.mistakes.project import Changed

pytestmark = pytest.mark.xdist_group("synchronous")

IMPORTS = """
import asyncio
import contextlib
import itertools
import threading
import time

from app.db import engine
from app.models import User
from sqlmodel import Session

numbers = itertools.count()
stop = threading.Event()
go = asyncio.Event()


def write(email, pause=0.0):
    with Session(engine) as session:
        session.add(User(email=f"{email}-{next(numbers)}@example.com", password_hash=""))
        session.flush()
        time.sleep(pause)
        session.commit()

"""
# It connects when the first request has come.
TASK = """
async def poll():
    await go.wait()
    while True:
        await asyncio.to_thread(write, "poller")
        await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def lifespan(app):
    app.add_api_route("/go", start)
    polling = asyncio.create_task(poll())
    yield
    polling.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await polling


async def start():
    go.set()
"""
# Its transactions hardly leave time for others, and the first one begins during the startup.
THREAD = """
def poll():
    while not stop.wait(0.001):
        write("poller", 0.05)


@contextlib.asynccontextmanager
async def lifespan(app):
    stop.clear()
    thread = threading.Thread(target=poll, name="outbox")
    thread.start()
    await asyncio.sleep(0.02)
    await asyncio.to_thread(write, "startup")
    yield
    stop.set()
    thread.join()
"""
# As in a service that sends some of its statements by the driver.
KEPT = """
import psycopg
import psycopg2
import psycopg2.extras


def write_by_the_driver(driver: str) -> None:
    connection = kept[driver.removesuffix(" cursor")]
    with cursors[driver] if driver in cursors else connection.cursor() as cursor:
        values = ("driver@example.com", "", False)
        cursor.execute('INSERT INTO "user" (email, password_hash, is_admin) VALUES (%s, %s, %s)', values)
    connection.commit()


@contextlib.asynccontextmanager
async def lifespan(app):
    address = "postgresql://notebook@localhost/notebook"
    kept.update(psycopg=psycopg.connect(address), psycopg2=psycopg2.connect(address))
    kept["psycopg2"].cursor_factory = psycopg2.extras.DictCursor
    cursors["psycopg2 cursor"] = kept["psycopg2"].cursor()
    app.add_api_route("/driver/{driver}", write_by_the_driver, methods=["POST"])
    yield
    for connection in kept.values():
        connection.close()


kept, cursors = {}, {}
"""
CLIENT = """
    from app.lifespan import write

    @pytest.fixture(scope="{}")
    def client() -> Iterator[TestClient]:
        with TestClient(app) as client:
            yield client

    def emails() -> list[str]:
        with Session(engine) as session:
            return sorted(session.exec(select(User.email)).all())

    def wait_for_a_row() -> None:
        started = threading.Event()
        for _ in range(500):
            if any(email.startswith("poller") for email in emails()):
                return
            started.wait(0.01)
        pytest.fail("no row of the lifespan")
"""


def with_lifespan(notebook: Changed, lifespan: str, scope: str, tests: str) -> Changed:
    """The service with a lifespan, and no other fixture that connects."""
    add_lifespan(notebook, IMPORTS + lifespan)
    (notebook.folder / "tests/conftest.py").write_text("")
    return written(notebook, CLIENT.format(scope) + tests)


def test_a_task_that_is_the_first_to_connect(notebook: Changed) -> None:
    """Set up before the test database, the client ends before it, too."""
    tests = """
    def test_its_rows(client: TestClient) -> None:
        client.get("/go")
        wait_for_a_row()

    def test_next(client: TestClient) -> None:
        write("test")
        assert any(email.startswith("test") for email in emails())
    """

    outcome = in_order(with_lifespan(notebook, TASK, "session", tests), "tests/test_own.py")

    assert len(outcome.passed) == 2, outcome.output


@BOTH
@pytest.mark.parametrize("scope", ["session", "function"])
def test_a_thread(notebook: Changed, url: str, scope: str) -> None:
    tests = """
    def test_its_rows(client: TestClient) -> None:
        wait_for_a_row()

    def test_its_rows_are_gone_and_it_runs_beside_the_test(client: TestClient) -> None:
        for _ in range(3):
            write("test", 0.02)
        assert sum(email.startswith("test") for email in emails()) == 3

    @pytest.mark.own_database
    def test_a_database_of_its_own(client: TestClient) -> None:
        write("test")
    """

    outcome = in_order(with_lifespan(notebook, THREAD, scope, tests), "tests/test_own.py", DATABASE_URL=url)

    assert len(outcome.passed) == 3, outcome.output


@BOTH
@pytest.mark.parametrize("scope", ["session", "function"])
def test_a_connection_of_the_driver_that_the_lifespan_keeps(notebook: Changed, url: str, scope: str) -> None:
    tests = """
    DRIVERS = ["psycopg", "psycopg2", "psycopg2 cursor"]

    @pytest.mark.parametrize("driver", DRIVERS)
    def test_write(client: TestClient, driver: str) -> None:
        client.post(f"/driver/{driver}")

    @pytest.mark.own_database
    @pytest.mark.parametrize("driver", DRIVERS)
    def test_write_to_its_own_database(client: TestClient, driver: str) -> None:
        client.post(f"/driver/{driver}")

    @pytest.mark.parametrize("driver", DRIVERS)
    def test_next(driver: str) -> None:
        assert emails() == []
    """

    outcome = in_order(with_lifespan(notebook, KEPT, scope, tests), "tests/test_own.py", DATABASE_URL=url)
    refused = (
        "A connection that the lifespan or a fixture with a wider scope has opened is used in a test (app/lifespan.py:"
    )
    if scope == "function":
        refused = "A connection was requested directly from psycopg (app/lifespan.py:"
        assert sum("own_database" in name for name in outcome.passed) == 3, outcome.output
    assert [refused in said for said in outcome.failed.values()] == [True] * (6 if scope == "session" else 3)
    assert sum("test_next" in name for name in outcome.passed) == 3, outcome.output


@BOTH
def test_connections_of_the_driver_that_a_session_fixture_keeps(notebook: Changed, url: str) -> None:
    """They may be used in tests, as they were before the harness."""
    tests = """
        import psycopg
        import psycopg2

        ADDRESS = "postgresql://notebook@localhost/notebook"

        @pytest.fixture(scope="session")
        def connections(db: Session) -> Iterator[list]:
            found = [psycopg.connect(ADDRESS), psycopg2.connect(ADDRESS), psycopg.connect(ADDRESS)]
            yield found
            for connection in found:
                connection.close()

        @pytest.mark.parametrize("repeat", [1, 2])
        def test_read(connections: list, repeat: int) -> None:
            for connection in connections:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
    """

    outcome = in_order(written(notebook, tests), "tests/test_own.py", DATABASE_URL=url)

    assert len(outcome.passed) == 2, outcome.output


CURSORS = """
import functools

import psycopg2
import psycopg2.extras


class Named(psycopg2.extensions.cursor):
    def __init__(self, connection, name=None, *, tag):
        super().__init__(connection, name)
        self.tag = tag


def read():
    with kept.cursor("a_named_one") as cursor:
        cursor.execute("SELECT 1 AS one")
        found = [cursor.fetchone()["one"]]
    kept.commit()
    with kept.cursor(cursor_factory=functools.partial(Named, tag=2)) as cursor:
        cursor.execute("SELECT 1")
        found.append(cursor.tag)
    kept.rollback()
    with kept.cursor("another", psycopg2.extras.NamedTupleCursor) as cursor:
        cursor.execute("SELECT 3 AS three")
        found.append(cursor.fetchone().three)
    kept.commit()
    kept.tpc_begin(kept.xid(1, "a", "b"))
    kept.tpc_rollback()
    return found


async def poll(asked, answers):
    while await asked.get():
        answers.put_nowait(await asyncio.to_thread(read))


@contextlib.asynccontextmanager
async def lifespan(app):
    global kept
    factory = psycopg2.extras.DictConnection
    kept = psycopg2.connect("postgresql://notebook@localhost/notebook", connection_factory=factory)
    asked, answers = asyncio.Queue(), asyncio.Queue()

    async def ask():
        asked.put_nowait(True)
        return await answers.get()

    app.add_api_route("/read", ask)
    polling = asyncio.create_task(poll(asked, answers))
    yield
    asked.put_nowait(False)
    await polling
    kept.close()
"""


def test_cursors_that_a_task_of_the_lifespan_reads_by(notebook: Changed) -> None:
    tests = """
    @pytest.mark.parametrize("repeat", [1, 2])
    def test_read(client: TestClient, repeat: int) -> None:
        assert client.get("/read").json() == [1, 2, 3]

    @pytest.mark.own_database
    def test_with_a_database_of_its_own(client: TestClient) -> None:
        assert client.get("/read").json() == [1, 2, 3]
    """

    outcome = in_order(with_lifespan(notebook, CURSORS, "session", tests), "tests/test_own.py", DATABASE_URL=PSYCOPG2)

    assert len(outcome.passed) == 3, outcome.output


def test_a_session_of_the_test_is_open_during_the_startup_and_the_shutdown(notebook: Changed) -> None:
    """The lifespan does not wait for the test, which waits for it."""
    tests = """
    @pytest.fixture
    def session() -> Iterator[Session]:
        with Session(engine) as session:
            yield session
            session.commit()

    def test_startup(session: Session) -> None:
        session.add(User(email="test@example.com", password_hash=""))
        session.flush()
        with TestClient(app):
            pass
        assert session.exec(select(func.count()).where(User.email.startswith("startup"))).one() == 1

    def test_shutdown(session: Session, client: TestClient) -> None:
        session.add(User(email="test@example.com", password_hash=""))
        session.flush()
    """

    outcome = in_order(with_lifespan(notebook, THREAD, "function", tests), "tests/test_own.py")

    assert len(outcome.passed) == 2, outcome.output


@BOTH
def test_a_session_fixture_that_connects_only_when_it_ends(notebook: Changed, url: str) -> None:
    tests = """
        @pytest.fixture(scope="session", autouse=True)
        def cleaned() -> Iterator[None]:
            yield
            with Session(engine) as session:
                assert session.scalar(select(func.count()).select_from(User)) == 0
                session.add(User(email="late@example.com", password_hash=""))
                session.commit()
                (database,) = session.execute(text("SELECT current_database()")).one()
                assert database.startswith("savepoint_")

        def test_one() -> None:
            with Session(engine) as session:
                crud.create_user(session, NewUser(email="ada@example.com", password="x"))
    """
    (notebook.folder / "tests/conftest.py").write_text("")

    outcome = in_order(written(notebook, tests), "tests/test_own.py", DATABASE_URL=url)

    assert outcome.code == 0, outcome.output


def test_a_thread_that_a_test_leaves_running(notebook: Changed) -> None:
    """It writes to no later test, and is named; the thread of an executor may be used again."""
    tests = """
        pool = ThreadPoolExecutor(1)
        may_write = threading.Event()

        def write(email: str = "late@example.com") -> None:
            with Session(engine) as session:
                session.add(User(email=email, password_hash=""))
                session.commit()

        def wait_and_write() -> None:
            may_write.wait(10)
            write()

        def test_one(db: Session) -> None:
            test_one.thread = threading.Thread(target=wait_and_write)
            test_one.thread.start()
            pool.submit(write).result(10)

        def test_two(db: Session) -> None:
            assert db.exec(select(User.email)).all() == [ADMIN]
            may_write.set()
            test_one.thread.join(10)
            assert db.exec(select(User.email)).all() == [ADMIN]
            pool.submit(write, "two@example.com").result(10)
            assert db.exec(select(User.email)).all() == [ADMIN, "two@example.com"]
    """

    outcome = in_order(written(notebook, tests), "tests/test_own.py")

    assert len(outcome.passed) == 2, outcome.output
    assert "A thread that tests/test_own.py::test_one has started uses the database after the end" in outcome.output


def test_clones_that_no_test_has_used(notebook: Changed) -> None:
    """A fixture that has written rows ends later than the clones of its rows."""
    tests = """
        @pytest.mark.own_database
        def test_fails(db: Session) -> None:
            raise RuntimeError("on purpose")

        @pytest.mark.own_database
        def test_is_not_run(db: Session) -> None: ...

        @pytest.mark.own_database
        def test_is_not_run_either(db: Session) -> None: ...
    """

    outcome = in_order(written(notebook, tests), "-x", "tests/test_own.py")

    assert list(outcome.failed) == ["tests/test_own.py::test_fails"]
    assert "error" not in outcome.output.splitlines()[-1]


STREAMS = """
    from fastapi.responses import StreamingResponse

    def rows_of_sqlalchemy() -> Iterator[str]:
        with Session(engine) as session:
            options = {"stream_results": True, "max_row_buffer": 2}
            for (number,) in session.execute(text("SELECT * FROM generate_series(1, 9)"), execution_options=options):
                yield str(number)

    def rows_of_stream() -> Iterator[str]:
        with engine.connect() as connection, connection.connection.cursor() as cursor:
            for (number,) in cursor.stream("SELECT * FROM generate_series(1, 9)"):
                yield str(number)

    def rows_of_copy() -> Iterator[str]:
        with engine.connect() as connection, connection.connection.cursor() as cursor:
            with cursor.copy("COPY (SELECT * FROM generate_series(1, 9)) TO STDOUT") as copy:
                for (number,) in copy.rows():
                    yield number

    def hop(rows: Iterator[str]) -> Iterator[str]:
        # Each step in another thread, as Starlette may do it.
        while (row := run(lambda: next(rows, None))) is not None:
            yield row

    def run(function):
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(function).result(20)

    @pytest.mark.parametrize("rows", [rows_of_sqlalchemy, rows_of_stream, rows_of_copy])
    def test_rows(client: TestClient, rows) -> None:
        path = f"/{rows.__name__}"
        app.add_api_route(path, lambda: StreamingResponse(hop(rows())))
        assert client.get(path).text == "123456789"

    def test_another_session_during_a_copy(db: Session) -> None:
        rows = rows_of_copy()
        next(rows)
        db.scalar(text("SELECT 1"))

    def test_next(db: Session) -> None:
        assert db.exec(select(User.email)).all() == [ADMIN]
"""


def test_rows_that_are_read_in_several_threads(notebook: Changed) -> None:
    outcome = in_order(written(notebook, STREAMS), "tests/test_own.py")

    [said] = outcome.failed.values()
    assert "A COPY of another session is still in progress on the connection of the test." in said
    assert len(outcome.passed) == 4, outcome.output


def test_the_first_test_connects_in_several_threads(notebook: Changed) -> None:
    tests = """
        def read(number: int) -> str:
            with Session(engine) as session:
                return session.scalar(text("SELECT current_database()"))

        def test_threads() -> None:
            with ThreadPoolExecutor(4) as threads:
                assert len(set(threads.map(read, range(4)))) == 1
    """
    (notebook.folder / "tests/conftest.py").write_text("")

    outcome = in_order(written(notebook, tests), "tests/test_own.py")

    assert outcome.code == 0, outcome.output


def test_a_cursor_factory_that_a_listener_sets(notebook: Changed) -> None:
    tests = """
        from psycopg2.extras import DictCursor
        from sqlalchemy import event

        @event.listens_for(engine, "connect")
        def use_dictionaries(connection, record) -> None:
            connection.cursor_factory = DictCursor

        def test_rows(db: Session) -> None:
            cursor = db.connection().connection.cursor()
            cursor.execute("SELECT 1 AS one")
            assert cursor.fetchone()["one"] == 1
    """

    (notebook.folder / "tests/conftest.py").write_text(
        (notebook.folder / "tests/conftest.py").read_text().replace(", autouse=True", "")
    )

    outcome = in_order(written(notebook, tests), "tests/test_own.py", DATABASE_URL=PSYCOPG2)

    assert outcome.code == 0, outcome.output


def test_a_fixture_that_requests_a_wider_one_by_name(notebook: Changed) -> None:
    """Before it writes: its own rows end with it, and those of the wider one do not."""
    conftest = notebook.folder / "tests/conftest.py"
    conftest.write_text(
        conftest.read_text()
        + """

@pytest.fixture(scope="session")
def wider() -> None:
    with Session(engine) as session:
        session.add(User(email="wider@example.com", password_hash=""))
        session.commit()
"""
    )
    tests = """
        @pytest.fixture(scope="module")
        def narrower(request: pytest.FixtureRequest, db: Session) -> Iterator[None]:
            with Session(engine) as session:
                assert session.exec(select(User.email)).all() == [ADMIN]
                request.getfixturevalue("wider")
                assert session.exec(select(func.count()).select_from(User)).one() == 2
                session.add(User(email="narrower@example.com", password_hash=""))
                session.commit()
                yield

        def test_both(narrower: None, db: Session) -> None:
            assert sorted(db.exec(select(User.email))) == [ADMIN, "narrower@example.com", "wider@example.com"]
    """
    later = """
        def test_one(wider: None, db: Session) -> None:
            assert sorted(db.exec(select(User.email))) == [ADMIN, "wider@example.com"]
    """
    written(notebook, later, "tests/test_b.py")

    outcome = in_order(written(notebook, tests, "tests/test_a.py"), "tests/test_a.py", "tests/test_b.py")

    assert outcome.code == 0, outcome.output
