from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from fastapi.security import OAuth2PasswordRequestForm
from sqlalchemy.exc import IntegrityError

from app import crud
from app.deps import CurrentUser, Db
from app.models import NewUser, ShownUser
from app.security import token_of

router = APIRouter()


@router.post("/token")
def log_in(db: Db, form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> dict[str, str]:
    if "\0" in form.username or (user := crud.authenticate(db, form.username, form.password)) is None:
        raise HTTPException(400, "Wrong email or password")
    return {"access_token": token_of(user.id), "token_type": "bearer"}


@router.post("/users", status_code=201)
def create_user(db: Db, user: CurrentUser, new: NewUser) -> ShownUser:
    if not user.is_admin:
        raise HTTPException(403, "Not allowed")
    try:
        return ShownUser.model_validate(crud.create_user(db, new), from_attributes=True)
    except IntegrityError:
        db.rollback()
        raise HTTPException(409, "This email is taken") from None


@router.get("/users/me")
def read_me(user: CurrentUser) -> ShownUser:
    return ShownUser.model_validate(user, from_attributes=True)
