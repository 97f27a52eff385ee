from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, HTTPException
from fastapi.security import OAuth2PasswordBearer
from sqlmodel import Session

from app.db import engine
from app.models import User
from app.security import user_id_of


def get_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


Db = Annotated[Session, Depends(get_session)]


def get_current_user(db: Db, token: Annotated[str, Depends(OAuth2PasswordBearer(tokenUrl="token"))]) -> User:
    user_id = user_id_of(token)
    user = None if user_id is None else db.get(User, user_id)
    if user is None:
        raise HTTPException(401, "Not authenticated")
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]
