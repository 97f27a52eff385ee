from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import get_session
from app.models import Book

app = FastAPI(title="Library")
app.add_middleware(TrustedHostMiddleware, allowed_hosts=["library.test"])


@app.exception_handler(RequestValidationError)
async def refuse(request: Request, error: RequestValidationError) -> JSONResponse:
    """Without the input: JSON has no NaN."""
    return JSONResponse({"detail": [problem["msg"] for problem in error.errors()]}, 422)


Db = Annotated[AsyncSession, Depends(get_session)]


class NewBook(BaseModel):
    title: str = Field(max_length=200, pattern=r"^[A-Za-z ]+$")


@app.post("/books", status_code=201)
async def add(body: NewBook, db: Db) -> dict[str, object]:
    book = Book(title=body.title)
    db.add(book)
    try:
        await db.commit()
    except IntegrityError:
        raise HTTPException(409, "there is a book of this title") from None
    return {"id": book.id, "title": book.title}


@app.get("/books")
async def books(db: Db, limit: Annotated[int, Field(ge=1, le=100)] = 20) -> list[str]:
    return list(await db.scalars(select(Book.title).order_by(Book.title).limit(limit)))
