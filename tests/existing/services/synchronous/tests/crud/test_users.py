import pytest
from app import crud
from app.db import ADMIN, ADMIN_PASSWORD
from app.models import NewUser, User
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

PASSWORD = "correct horse"  # noqa: S105 - of no service


def test_a_user_authenticates(db: Session) -> None:
    user = crud.create_user(db, NewUser(email="ada@example.com", password=PASSWORD))

    assert crud.authenticate(db, "ada@example.com", PASSWORD) == user
    assert crud.authenticate(db, "ada@example.com", "wrong") is None


def test_a_failed_commit_is_rolled_back(db: Session) -> None:
    with pytest.raises(IntegrityError):
        crud.create_user(db, NewUser(email=ADMIN, password=PASSWORD))
    db.rollback()

    assert crud.authenticate(db, ADMIN, ADMIN_PASSWORD) is not None


def test_the_admin_can_be_deleted(db: Session) -> None:
    admin = crud.user_by_email(db, ADMIN)
    db.delete(admin)
    db.commit()

    assert crud.user_by_email(db, ADMIN) is None


def test_the_admin_is_there(db: Session) -> None:
    admin = crud.user_by_email(db, ADMIN)
    assert admin is not None
    assert admin.is_admin


def test_a_user_that_is_not_committed(db: Session) -> None:
    db.add(User(email="eve@example.com", password_hash=""))
    db.flush()


def test_a_user_that_was_not_committed_is_gone(db: Session) -> None:
    assert crud.user_by_email(db, "eve@example.com") is None
