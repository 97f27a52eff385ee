"""Errors that are the client's to mend: 409 by the name of the constraint that is violated, 422 for what is invalid."""

import json
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError

CONFLICTS = {"uq_users_email": "this e-mail is taken"}


class Problem(BaseModel):
    """Why a request was refused, as FastAPI's HTTPException says it."""

    detail: str


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route refuses with, beside 422, for the API's description: `responses=refusals(404)`.

    FastAPI answers 400 where a body is no text at all.
    """
    return {status: {"model": Problem} for status in statuses}


def constraint_name(error: IntegrityError) -> str | None:
    """The constraint that was violated, as asyncpg names it."""
    name: str | None = getattr(getattr(error.orig, "__cause__", None), "constraint_name", None)
    return name


async def answer_conflict(request: Request, error: Exception) -> Response:
    """Answer 409 where the constraint is known, and raise the error again where it is not: a 500."""
    assert isinstance(error, IntegrityError)
    name = constraint_name(error)
    if name not in CONFLICTS:
        raise error
    return JSONResponse({"detail": CONFLICTS[name]}, status_code=409)


async def answer_invalid(request: Request, error: Exception) -> Response:
    """Answer 422 without repeating what was sent, as FastAPI would: it may be secret, or no valid JSON."""
    assert isinstance(error, RequestValidationError)
    problems = [{key: problem[key] for key in ("type", "loc", "msg")} for problem in error.errors()]
    # Escaped to ASCII: the name of a field may hold a lone surrogate, which UTF-8 cannot.
    return Response(json.dumps({"detail": problems}), status_code=422, media_type="application/json")


def register(app: FastAPI) -> None:
    """Let every route answer so."""
    app.add_exception_handler(IntegrityError, answer_conflict)
    app.add_exception_handler(RequestValidationError, answer_invalid)
