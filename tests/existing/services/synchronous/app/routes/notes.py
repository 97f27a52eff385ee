from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query
from sqlalchemy.orm import selectinload
from sqlmodel import select

from app import crud
from app.deps import CurrentUser, Db
from app.models import NewNote, Note, OwnedNote, ShownNote

router = APIRouter(prefix="/notes")


@router.get("")
def read_notes(db: Db, user: CurrentUser, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> list[OwnedNote]:
    query = select(Note).order_by(Note.id).limit(limit).options(selectinload(Note.owner))
    if not user.is_admin:
        query = query.where(Note.owner_id == user.id)
    return [OwnedNote.model_validate(note, from_attributes=True) for note in db.exec(query)]


@router.post("", status_code=201)
def create_note(db: Db, user: CurrentUser, new: NewNote) -> ShownNote:
    return ShownNote.model_validate(crud.create_note(db, new, user.id), from_attributes=True)


@router.delete("/{note_id}", status_code=204)
def delete_note(db: Db, user: CurrentUser, note_id: Annotated[int, Path(ge=1, lt=2**31)]) -> None:
    note = db.get(Note, note_id)
    if note is None or note.owner_id != user.id:
        raise HTTPException(404, "Not found")
    db.delete(note)
    db.commit()
