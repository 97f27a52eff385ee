from collections.abc import Iterator

import pytest
from app import crud
from app.db import ADMIN, ADMIN_PASSWORD, engine, seed
from app.main import app
from app.models import NewUser, Note, User
from fastapi.testclient import TestClient
from sqlmodel import Session, delete

READER, READER_PASSWORD = "reader@example.com", "a password of the reader"


@pytest.fixture(scope="session", autouse=True)
def db() -> Iterator[Session]:
    """One session for all tests, with the admin's row."""
    with Session(engine) as session:
        seed(session)
        yield session
        session.exec(delete(Note))
        session.exec(delete(User))
        session.commit()


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


def headers_of(client: TestClient, email: str, password: str) -> dict[str, str]:
    response = client.post("/token", data={"username": email, "password": password})
    return {"Authorization": f"Bearer {response.json()['access_token']}"}


@pytest.fixture(scope="module")
def admin_headers(client: TestClient) -> dict[str, str]:
    return headers_of(client, ADMIN, ADMIN_PASSWORD)


@pytest.fixture(scope="module")
def reader_headers(client: TestClient, db: Session) -> dict[str, str]:
    """Of a user that the fixture adds, unless an earlier module has."""
    if crud.user_by_email(db, READER) is None:
        crud.create_user(db, NewUser(email=READER, password=READER_PASSWORD))
    return headers_of(client, READER, READER_PASSWORD)
