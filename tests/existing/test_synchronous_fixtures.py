"""A synchronous service: fixtures of wider scopes, their sessions, and the lifespan in TestClient."""

import pytest

from tests.existing.notebook import BOTH, add_lifespan, in_order, written
from tests.mistakes.project import Changed

pytestmark = pytest.mark.xdist_group("synchronous")

WIDER = """
    @pytest.fixture(scope="module")
    def note(db: Session) -> Note:
        admin = crud.user_by_email(db, ADMIN)
        return crud.create_note(db, NewNote(text="of a module"), admin.id)

    @pytest.fixture(scope="class")
    def second(db: Session) -> Iterator[None]:
        with Session(engine) as session:
            session.add(Note(text="of a class", owner_id=crud.user_by_email(db, ADMIN).id))
            session.commit()
            yield
            session.execute(text("DELETE FROM note"))
            session.commit()

    class TestBoth:
        def test_in_a_savepoint(self, note: Note, second: None, db: Session) -> None:
            assert sorted(db.exec(select(Note.text))) == ["of a class", "of a module"]
            assert note.text == "of a module"
            db.delete(note)
            db.commit()

        @pytest.mark.own_database
        def test_in_a_database_of_its_own(self, note: Note, second: None, db: Session) -> None:
            assert sorted(db.exec(select(Note.text))) == ["of a class", "of a module"]
            assert note.text == "of a module"

    def test_the_class_has_ended(note: Note, db: Session) -> None:
        assert db.exec(select(Note.text)).all() == ["of a module"]
        assert db.get(Note, note.id) is note

    @pytest.mark.own_database
    def test_also_in_a_database_of_its_own(db: Session) -> None:
        assert db.exec(select(Note.text)).all() == ["of a module"]
"""
AFTER = """
    def test_the_module_has_ended(db: Session) -> None:
        assert db.exec(select(Note.text)).all() == []

    @pytest.mark.own_database
    def test_also_in_a_database_of_its_own(db: Session) -> None:
        assert db.exec(select(Note.text)).all() == []
"""


@BOTH
def test_rows_of_a_fixture_are_there_as_long_as_the_fixture(notebook: Changed, url: str) -> None:
    written(notebook, WIDER, "tests/test_a.py")
    written(notebook, AFTER, "tests/test_b.py")

    outcome = in_order(notebook, "tests/test_a.py", "tests/test_b.py", DATABASE_URL=url)

    assert outcome.code == 0, outcome.output


def test_sessions_of_fixtures(notebook: Changed) -> None:
    written(
        notebook,
        """
        from app.deps import get_session

        class UserFactory:
            @staticmethod
            def build(**attributes: str) -> User:
                return User(password_hash="", **attributes)

        @pytest.fixture(scope="session")
        def seed_data():
            def write(session: Session) -> None:
                session.add(User(email="seed@example.com", password_hash=""))
            return write

        @pytest.fixture(scope="module")
        def uncommitted() -> Iterator[Session]:
            with Session(engine) as session:
                session.add(User(email="uncommitted@example.com", password_hash=""))
                session.flush()
                yield session

        @pytest.fixture(scope="module")
        def in_a_block() -> Iterator[Session]:
            with Session(engine) as session, session.begin():
                session.add(User(email="block@example.com", password_hash=""))
                yield session

        @pytest.fixture
        def overridden(client: TestClient, uncommitted: Session) -> Iterator[None]:
            app.dependency_overrides[get_session] = lambda: uncommitted
            yield
            app.dependency_overrides.clear()

        def emails(session: Session) -> list[str]:
            return sorted(session.exec(select(User.email)).all())

        SEEDED = [ADMIN, "block@example.com", "seed@example.com", "uncommitted@example.com"]

        def test_one(db, uncommitted, in_a_block, overridden, create, client, admin_headers) -> None:
            assert emails(in_a_block) == emails(uncommitted) == emails(db) == SEEDED
            client.post("/users", json={"email": "ada@example.com", "password": "x"}, headers=admin_headers)
            assert create(UserFactory, email="eve@example.com").id
            in_a_block.add(User(email="max@example.com", password_hash=""))
            in_a_block.flush()
            assert len(emails(uncommitted)) == 7

        def test_other(db, uncommitted, in_a_block, overridden, client, admin_headers) -> None:
            assert emails(in_a_block) == emails(uncommitted) == emails(db) == SEEDED
            assert client.get("/users/me", headers=admin_headers).status_code == 200

        def test_of_the_harness(db_session: Session) -> None:
            assert emails(db_session) == SEEDED
        """,
    )

    outcome = in_order(notebook, "tests/test_own.py")

    assert outcome.code == 0, outcome.output


def test_a_fixture_that_fails_leaves_no_row(notebook: Changed) -> None:
    written(
        notebook,
        """
        @pytest.fixture(scope="module")
        def failing(db: Session) -> None:
            db.add(User(email="ada@example.com", password_hash=""))
            db.commit()
            raise RuntimeError("on purpose")

        def test_with_the_fixture(failing: None) -> None: ...

        def test_without(db: Session) -> None:
            assert db.exec(select(User.email)).all() == [ADMIN]
        """,
    )

    outcome = in_order(notebook, "tests/test_own.py")

    assert list(outcome.failed) == ["tests/test_own.py::test_with_the_fixture"]
    assert outcome.passed == ["tests/test_own.py::test_without"]


def test_a_fixture_of_a_wider_scope_that_is_set_up_later(notebook: Changed) -> None:
    written(
        notebook,
        """
        @pytest.fixture(scope="module")
        def of_module(db: Session) -> None:
            crud.create_note(db, NewNote(text="of a module"), crud.user_by_email(db, ADMIN).id)

        @pytest.fixture(scope="session")
        def of_session(db: Session) -> None:
            crud.create_note(db, NewNote(text="of the session"), crud.user_by_email(db, ADMIN).id)

        def test_a(of_module: None) -> None: ...

        def test_b(of_module: None, of_session: None) -> None: ...

        def test_c(db: Session, request: pytest.FixtureRequest) -> None:
            crud.user_by_email(db, ADMIN)
            request.getfixturevalue("late")

        @pytest.fixture(scope="class")
        def late(db: Session) -> None:
            crud.create_note(db, NewNote(text="late"), crud.user_by_email(db, ADMIN).id)
        """,
    )

    outcome = in_order(notebook, "tests/test_own.py")

    said = {node.partition("::")[2]: text for node, text in outcome.failed.items()}
    assert (
        "The fixture `of_session` with scope session wrote to the database after the fixture `of_module` with scope "
        "module, whose rows are gone earlier. Let `of_module` request `of_session`" in said["test_b"]
    )
    assert "The fixture `late` with scope class was set up during a test, and wrote to the database." in said["test_c"]
    assert len(said) == 2


LIFESPAN = """
import asyncio
import contextlib
import itertools

from app.db import engine
from app.models import User
from sqlmodel import Session

numbers = itertools.count()


def write(email):
    with Session(engine) as session:
        session.add(User(email=email, password_hash=""))
        session.commit()


async def poll():
    while True:
        await asyncio.to_thread(write, f"poller-{next(numbers)}@example.com")
        await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def lifespan(app):
    write(f"startup-{next(numbers)}@example.com")
    polling = asyncio.create_task(poll())
    yield
    polling.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await polling
    write(f"shutdown-{next(numbers)}@example.com")
"""


def test_a_lifespan_with_a_task(notebook: Changed) -> None:
    add_lifespan(notebook, LIFESPAN)
    written(
        notebook,
        """
        import time

        def written_by(what: str, session: Session) -> int:
            query = select(func.count()).select_from(User).where(User.email.startswith(what))
            return session.exec(query).one()

        def test_in_the_transaction_of_a_test(client: TestClient, db: Session) -> None:
            db.add(User(email="eve@example.com", password_hash=""))
            db.flush()
            client.get("/users/me")
            time.sleep(0.05)
            db.commit()
            assert written_by("startup", db) == 1

        def test_its_rows_come_to_a_test(client: TestClient, db: Session) -> None:
            before = written_by("poller", db)
            for _ in range(100):
                db.rollback()
                time.sleep(0.01)
                if written_by("poller", db) > before:
                    return
            pytest.fail("no row of the task")

        def test_a_client_of_the_test(db: Session) -> None:
            with TestClient(app) as client:
                assert client.get("/users/me").status_code == 401
                assert written_by("startup", db) == 2

        def test_rows_of_that_client_are_gone(db: Session) -> None:
            assert written_by("startup", db) == 1
            assert written_by("shutdown", db) == 0
        """,
    )

    outcome = in_order(notebook, "tests/test_own.py", "tests/routes", "tests/harness/checks")

    assert outcome.code == 0, outcome.output


def test_without_a_with_block_there_is_no_lifespan(notebook: Changed) -> None:
    add_lifespan(notebook, LIFESPAN)
    written(
        notebook,
        """
        def test_a_client(db: Session) -> None:
            assert TestClient(app).get("/users/me").status_code == 401
            assert db.exec(select(User.email)).all() == [ADMIN]
        """,
    )

    outcome = in_order(notebook, "tests/test_own.py")

    assert outcome.code == 0, outcome.output


def test_module_level_clients(notebook: Changed) -> None:
    """Without a fixture, the first connection of a test is in a thread of TestClient."""
    written(
        notebook,
        """
        client = TestClient(app)

        def test_no_fixture() -> None:
            assert client.post("/token", data={"username": "a", "password": "b"}).status_code == 400
        """,
    )
    (notebook.folder / "tests/conftest.py").write_text("")

    outcome = in_order(notebook, "tests/test_own.py")

    assert outcome.code == 0, outcome.output
