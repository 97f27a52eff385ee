from app import crud
from app.models import NewNote, NewUser, Note
from fastapi.testclient import TestClient
from sqlmodel import Session, func, select

from tests.conftest import READER


def test_a_note_is_added(client: TestClient, reader_headers: dict[str, str], db: Session) -> None:
    response = client.post("/notes", json={"text": "milk"}, headers=reader_headers)

    assert response.status_code == 201
    note = db.get(Note, response.json()["id"])
    assert note is not None
    assert note.owner.email == READER


def test_no_note_is_there_at_first(client: TestClient, reader_headers: dict[str, str], db: Session) -> None:
    assert client.get("/notes", headers=reader_headers).json() == []
    assert db.exec(select(func.count()).select_from(Note)).one() == 0


def test_notes_are_listed_with_their_owner(client: TestClient, reader_headers: dict[str, str], db: Session) -> None:
    reader = crud.user_by_email(db, READER)
    assert reader is not None
    for text in ("milk", "bread"):
        crud.create_note(db, NewNote(text=text), reader.id)

    notes = client.get("/notes", headers=reader_headers).json()

    assert [note["text"] for note in notes] == ["milk", "bread"]
    assert {note["owner"]["email"] for note in notes} == {READER}


def test_the_admin_lists_the_notes_of_all(client: TestClient, admin_headers: dict[str, str], db: Session) -> None:
    for number in range(5):
        user = crud.create_user(db, NewUser(email=f"{number}@example.com", password="secret"))  # noqa: S106 - of no service
        crud.create_note(db, NewNote(text=f"note {number}"), user.id)

    notes = client.get("/notes", headers=admin_headers).json()

    assert [note["owner"]["email"] for note in notes] == [f"{number}@example.com" for number in range(5)]


def test_a_note_of_another_user_is_not_deleted(
    client: TestClient, reader_headers: dict[str, str], admin_headers: dict[str, str]
) -> None:
    note = client.post("/notes", json={"text": "milk"}, headers=reader_headers).json()

    assert client.delete(f"/notes/{note['id']}", headers=admin_headers).status_code == 404
    assert client.delete(f"/notes/{note['id']}", headers=reader_headers).status_code == 204
    assert client.get("/notes", headers=reader_headers).json() == []


def test_a_note_that_is_deleted_is_gone_in_the_session(
    client: TestClient, reader_headers: dict[str, str], db: Session
) -> None:
    note_id = client.post("/notes", json={"text": "milk"}, headers=reader_headers).json()["id"]
    note = db.get(Note, note_id)
    assert note is not None

    client.delete(f"/notes/{note_id}", headers=reader_headers)

    db.expire_all()
    assert db.get(Note, note_id) is None
