from typing import Annotated

from pydantic import StringConstraints
from sqlmodel import Field, Relationship, SQLModel

# PostgreSQL stores no NUL.
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]


class User(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    email: str = Field(unique=True)
    password_hash: str
    is_admin: bool = False
    notes: list["Note"] = Relationship(back_populates="owner", cascade_delete=True)


class Note(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    text: str
    owner_id: int = Field(foreign_key="user.id", index=True, ondelete="CASCADE")
    owner: User = Relationship(back_populates="notes")


class NewUser(SQLModel):
    email: Text
    password: Text


class NewNote(SQLModel):
    text: Text


class ShownUser(SQLModel):
    id: int
    email: str


class ShownNote(SQLModel):
    id: int
    text: str


class OwnedNote(ShownNote):
    owner: ShownUser
