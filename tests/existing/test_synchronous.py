"""A service on a synchronous SQLAlchemy, with TestClient: its suite as it is, in any order, and mistakes in it."""

import pytest
from harness.postgres.server import Server

from tests.existing.notebook import BOTH, in_order, written
from tests.mistakes.catalogue import Edit
from tests.mistakes.project import Changed
from tests.preloaded import run_module

pytestmark = pytest.mark.xdist_group("synchronous")


@BOTH
def test_its_suite_and_the_checks_pass(notebook: Changed, url: str) -> None:
    outcome = in_order(notebook, DATABASE_URL=url)

    assert outcome.code == 0, outcome.output
    assert {node.partition("::")[0] for node in outcome.passed} >= {
        "tests/crud/test_users.py",
        "tests/routes/test_notes.py",
        "tests/routes/test_users.py",
        "tests/harness/checks/test_migrations.py",
        "tests/harness/checks/test_requests.py",
    }


def test_there_is_no_asyncpg(notebook: Changed) -> None:
    assert "No module named 'asyncpg'" in notebook.run(notebook.python, "-c", "import asyncpg").stdout


@pytest.mark.parametrize("seed", [1, 10, 11])
def test_its_suite_passes_in_any_order(notebook: Changed, seed: int) -> None:
    outcome = notebook.pytest_from_start("-p", "randomly", f"--randomly-seed={seed}")

    assert outcome.code == 0, outcome.output


def test_its_suite_passes_if_each_test_replaces_an_idle_connection(notebook: Changed, server: Server) -> None:
    (notebook.folder / "idle.py").write_text("from tests.harness.postgres import server\nserver.IDLE = -1\n")

    external = f"postgresql://postgres@/postgres?host={server.host}"
    outcome = in_order(notebook, "-p", "idle", "tests/crud", "tests/routes", TEST_DATABASE_URL=external)

    assert outcome.code == 0, outcome.output
    assert "opened again" not in outcome.output


def test_its_suite_passes_without_an_event_loop_of_the_harness(notebook: Changed) -> None:
    outcome = in_order(notebook, "tests/crud", "tests/routes")

    assert outcome.code == 0, outcome.output


@BOTH
def test_the_same_select_many_times(notebook: Changed, url: str) -> None:
    Edit("app/routes/notes.py", ".options(selectinload(Note.owner))", "").make(notebook.folder)

    outcome = in_order(notebook, "tests/routes", DATABASE_URL=url)

    [said] = outcome.failed.values()
    assert "guard n_plus_one: GET /notes sent the same SELECT 6 times:" in said
    assert "app/routes/notes.py:" in said


@BOTH
def test_a_missing_commit(notebook: Changed, url: str) -> None:
    Edit(
        "app/crud.py", "    session.add(note)\n    session.commit()\n", "    session.add(note)\n    session.flush()\n"
    ).make(notebook.folder)

    outcome = in_order(notebook, "tests/routes/test_notes.py::test_a_note_is_added", DATABASE_URL=url)

    [said] = outcome.failed.values()
    assert "guard uncommitted_changes: POST /notes responded with 201 before its session committed changes to" in said
    assert "Commit before the response: `session.commit()`." in said


MAIL = """
import httpx

def send() -> None:
    httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200))).get("http://mail.test")
"""


def test_another_service_is_called_in_a_transaction(notebook: Changed) -> None:
    (notebook.folder / "app/mail.py").write_text(MAIL)
    Edit("app/crud.py", "from sqlmodel import", "from app import mail\nfrom sqlmodel import").make(notebook.folder)
    Edit("app/crud.py", "    note = Note(", "    mail.send()\n    note = Note(").make(notebook.folder)

    outcome = in_order(notebook, "tests/routes/test_notes.py::test_a_note_is_added")

    [said] = outcome.failed.values()
    assert (
        "guard idle_in_transaction: a request to mail.test was sent while a session of the application was in" in said
    )


@BOTH
def test_a_failed_test_leaves_no_row(notebook: Changed, url: str) -> None:
    written(
        notebook,
        """
        def test_that_fails(client: TestClient, reader_headers: dict[str, str], db: Session) -> None:
            client.post("/notes", json={"text": "milk"}, headers=reader_headers)
            db.add(User(email="eve@example.com", password_hash=""))
            db.flush()
            raise RuntimeError("on purpose")

        def test_a_statement_fails(db: Session) -> None:
            db.execute(text("SELECT no_column"))

        def test_nothing_is_left(db: Session) -> None:
            assert db.exec(select(func.count()).select_from(Note)).one() == 0
            assert crud.user_by_email(db, "eve@example.com") is None
            assert crud.user_by_email(db, ADMIN) is not None
        """,
    )

    outcome = in_order(notebook, "tests/test_own.py", DATABASE_URL=url)

    assert sorted(outcome.failed) == ["tests/test_own.py::test_a_statement_fails", "tests/test_own.py::test_that_fails"]
    assert "Still open" not in outcome.output


@BOTH
def test_a_database_of_its_own(notebook: Changed, url: str) -> None:
    written(
        notebook,
        """
        @pytest.mark.own_database
        def test_real_commits(client: TestClient, admin_headers: dict[str, str], db: Session) -> None:
            with Session(engine) as one, Session(engine) as other:
                one.add(User(email="ada@example.com", password_hash=""))
                one.flush()
                assert crud.user_by_email(other, "ada@example.com") is None
                one.commit()
                assert crud.user_by_email(other, "ada@example.com") is not None
            assert crud.user_by_email(db, "ada@example.com") is not None
            emails = [{"email": f"{number}@example.com", "password": "x"} for number in range(4)]
            with ThreadPoolExecutor(4) as threads:
                answers = threads.map(lambda new: client.post("/users", json=new, headers=admin_headers), emails)
                assert [answer.status_code for answer in answers] == [201] * 4

        def test_nothing_is_left(client: TestClient, db: Session) -> None:
            assert db.exec(select(User.email)).all() == [ADMIN]

        @pytest.mark.own_database
        def test_nothing_is_left_in_another_database(db: Session) -> None:
            assert db.exec(select(User.email)).all() == [ADMIN]
        """,
    )

    outcome = in_order(notebook, "tests/test_own.py", DATABASE_URL=url)

    assert outcome.code == 0, outcome.output


@BOTH
def test_the_fixtures_of_the_harness(notebook: Changed, url: str) -> None:
    written(
        notebook,
        """
        from sqlalchemy import Engine

        def test_db_session(db_session: Session, engine: Engine, client: TestClient, admin_headers) -> None:
            assert isinstance(engine, Engine)
            client.post("/users", json={"email": "ada@example.com", "password": "x"}, headers=admin_headers)
            assert crud.user_by_email(db_session, "ada@example.com") is not None
            with engine.begin() as connection:
                connection.execute(text("UPDATE \\"user\\" SET email = 'eve@example.com' WHERE email LIKE 'ada%'"))
            assert db_session.exec(select(func.count()).where(User.email == "eve@example.com")).one() == 1

        @pytest.mark.anyio
        async def test_a_client_of_the_harness(new_client, admin_headers, db: Session) -> None:
            client = await new_client(headers=admin_headers)
            response = await client.post("/notes", json={"text": "milk"})
            assert response.status_code == 201
            assert db.exec(select(Note.text)).all() == ["milk"]

        def test_nothing_is_left(db_session: Session) -> None:
            assert db_session.exec(select(User.email)).all() == [ADMIN]
            assert db_session.exec(select(Note.text)).all() == []
        """,
    )

    outcome = in_order(notebook, "tests/test_own.py", DATABASE_URL=url)

    assert outcome.code == 0, outcome.output


REFUSED = """
    def test_two_threads(client: TestClient, admin_headers) -> None:
        arrived = threading.Barrier(2)

        def add(number: int) -> None:
            with Session(engine) as session:
                session.add(User(email=f"{number}@example.com", password_hash=""))
                session.flush()
                arrived.wait(5)
                session.add(User(email=f"{number}{number}@example.com", password_hash=""))
                session.commit()

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(add, range(2)))

    def test_commit_as_sql(db: Session) -> None:
        db.execute(text("COMMIT"))

    def test_a_connection_is_left_open() -> None:
        test_a_connection_is_left_open.connection = engine.connect()
        test_a_connection_is_left_open.connection.execute(text("SELECT 1"))

    def test_a_connection_of_the_driver() -> None:
        import psycopg
        psycopg.connect("postgresql://localhost/notebook")

    @pytest.mark.anyio
    async def test_an_asynchronous_engine(db: Session) -> None:
        from sqlalchemy.ext.asyncio import create_async_engine
        crud.user_by_email(db, ADMIN)
        async with create_async_engine("postgresql+psycopg://localhost/notebook").connect():
            pass

    def test_nothing_is_left(db: Session) -> None:
        assert db.exec(select(User.email)).all() == [ADMIN]
"""


def test_what_is_refused(notebook: Changed) -> None:
    written(notebook, REFUSED)

    outcome = in_order(notebook, "tests/test_own.py")

    said = {node.partition("::")[2]: text for node, text in outcome.failed.items()}
    assert "Two tasks use the database at the same time: thread " in said["test_two_threads"]
    assert "Use `session.commit()`, `session.rollback()` or `with session.begin():`." in said["test_commit_as_sql"]
    assert (
        "Still open when the test ended: a checked-out connection (tests/test_own.py:"
        in (said["test_a_connection_is_left_open"])
    )
    assert "A connection was requested directly from psycopg" in said["test_a_connection_of_the_driver"]
    assert "a synchronous and an asynchronous engine (psycopg" in said["test_an_asynchronous_engine"]
    assert len(said) == 5


def test_what_adopt_says(notebook: Changed) -> None:
    done = run_module(notebook, "tests.harness.adopt")

    assert "The engines are synchronous: in a test, they share one connection, one statement at a time." in done.stdout
    assert 'malformed_request_client = "admin_headers".' in done.stdout
    assert "tests/conftest.py:26: client" in done.stdout


def test_adopt_says_nothing_of_it_to_an_asynchronous_service(notebook: Changed) -> None:
    Edit("app/db.py", "engine = create_engine(", "engine = create_async_engine(").make(notebook.folder)

    assert "synchronous" not in run_module(notebook, "tests.harness.adopt").stdout


@BOTH
def test_the_driver_is_called_first(notebook: Changed, url: str) -> None:
    """Without a statement of SQLAlchemy before it in the test."""
    tests = """
        def test_before(db: Session) -> None:
            assert db.scalar(select(func.count()).select_from(User)) == 1

        def test_a_cursor() -> None:
            with engine.connect() as connection:
                cursor = connection.connection.dbapi_connection.cursor()
                cursor.execute("CREATE TABLE of_test (id int)")
                cursor.execute("INSERT INTO of_test VALUES (1)")
                cursor.execute("SELECT count(*) FROM of_test")
                assert cursor.fetchone()[0] == 1

        def test_rows_in_parts(db: Session) -> None:
            rows = db.connection().execution_options(stream_results=True, max_row_buffer=2)
            found = rows.execute(text("SELECT * FROM generate_series(1, 10)"))
            assert [value for (value,) in found] == list(range(1, 11))

        def test_after(db: Session) -> None:
            assert db.scalar(text("SELECT to_regclass('of_test')")) is None
    """

    outcome = in_order(written(notebook, tests), "tests/test_own.py", DATABASE_URL=url)

    assert len(outcome.passed) == 4, outcome.output


def test_a_session_that_is_global_and_was_left_open(notebook: Changed) -> None:
    tests = """
        from sqlalchemy.orm import scoped_session, sessionmaker

        shared = scoped_session(sessionmaker(engine))

        def test_left_open() -> None:
            shared.scalar(text("SELECT 1"))

        def test_next() -> None:
            assert shared.scalar(text("SELECT 2")) == 2
            shared.remove()
    """

    outcome = in_order(written(notebook, tests), "tests/test_own.py")

    assert [node.partition("::")[2] for node in outcome.passed] == ["test_next"]
    assert "Still open when the test ended" in "".join(outcome.failed.values())


def test_a_thread_that_still_sends_when_the_test_ends(notebook: Changed) -> None:
    """The test fails at the limit, and no later test sees its rows."""
    tests = """
        def test_with_a_thread(db: Session) -> None:
            crud.create_user(db, NewUser(email="left@example.com", password="correct horse"))

            def sleep() -> None:
                with Session(engine) as session:
                    session.execute(text("SELECT pg_sleep(60)"))

            started = threading.Thread(target=sleep, daemon=True)
            started.start()
            while not db.get_bind().pool.checkedout() > 1:
                pass

        def test_next(db: Session) -> None:
            assert db.scalar(select(func.count()).select_from(User)) == 1
    """

    outcome = in_order(written(notebook, tests), "tests/test_own.py")

    assert [node.partition("::")[2] for node in outcome.passed] == ["test_next"], outcome.output
    [said] = outcome.failed.values()
    # The thread may not have sent its statement yet.
    assert "The test ended, and a statement is still running" in said or "Still open when the test ended" in said
