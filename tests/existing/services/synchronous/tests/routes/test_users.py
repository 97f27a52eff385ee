from app import crud
from app.db import ADMIN
from app.models import NewUser, User
from fastapi.testclient import TestClient
from sqlmodel import Session, func, select

PASSWORD = "correct horse"  # noqa: S105 - of no service


def test_a_user_is_added(client: TestClient, admin_headers: dict[str, str], db: Session) -> None:
    new = {"email": "ada@example.com", "password": PASSWORD}

    assert client.post("/users", json=new, headers=admin_headers).status_code == 201
    assert crud.user_by_email(db, "ada@example.com") is not None


def test_an_email_is_unique(client: TestClient, admin_headers: dict[str, str], db: Session) -> None:
    crud.create_user(db, NewUser(email="ada@example.com", password=PASSWORD))
    new = {"email": "ada@example.com", "password": "another"}

    assert client.post("/users", json=new, headers=admin_headers).status_code == 409
    assert db.exec(select(func.count()).select_from(User).where(User.email == "ada@example.com")).one() == 1


def test_a_reader_adds_no_user(client: TestClient, reader_headers: dict[str, str]) -> None:
    new = {"email": "ada@example.com", "password": PASSWORD}

    assert client.post("/users", json=new, headers=reader_headers).status_code == 403


def test_me(client: TestClient, admin_headers: dict[str, str]) -> None:
    assert client.get("/users/me", headers=admin_headers).json()["email"] == ADMIN
    assert client.get("/users/me").status_code == 401
