from sqlmodel import Session, select

from app.models import NewNote, NewUser, Note, User
from app.security import hashed


def create_user(session: Session, new: NewUser, *, is_admin: bool = False) -> User:
    user = User(email=new.email, password_hash=hashed(new.password), is_admin=is_admin)
    session.add(user)
    session.commit()
    session.refresh(user)
    return user


def user_by_email(session: Session, email: str) -> User | None:
    return session.exec(select(User).where(User.email == email)).first()


def authenticate(session: Session, email: str, password: str) -> User | None:
    user = user_by_email(session, email)
    return user if user is not None and user.password_hash == hashed(password) else None


def create_note(session: Session, new: NewNote, owner_id: int) -> Note:
    note = Note(text=new.text, owner_id=owner_id)
    session.add(note)
    session.commit()
    session.refresh(note)
    return note
