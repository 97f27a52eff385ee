import os

from sqlmodel import Session, create_engine, select

from app import crud
from app.models import NewUser, User

ADMIN, ADMIN_PASSWORD = "admin@example.com", "a password of the admin"

engine = create_engine(os.environ.get("DATABASE_URL", "postgresql+psycopg://notebook@localhost/notebook"))


def seed(session: Session) -> None:
    """The user without whom nobody could add users."""
    if session.exec(select(User).where(User.email == ADMIN)).first() is None:
        crud.create_user(session, NewUser(email=ADMIN, password=ADMIN_PASSWORD), is_admin=True)
