"""Violations of constraints that are the client's to mend become 409, by the constraint's name; others stay 500."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy.exc import IntegrityError

CONFLICTS = {"uq_users_email": "this e-mail is taken"}


def constraint_name(error: IntegrityError) -> str | None:
    """The constraint that was violated, as asyncpg names it."""
    name: str | None = getattr(getattr(error.orig, "__cause__", None), "constraint_name", None)
    return name


async def answer_conflict(request: Request, error: Exception) -> JSONResponse:
    """Answer 409 where the constraint is known, and raise the error again where it is not."""
    assert isinstance(error, IntegrityError)
    name = constraint_name(error)
    if name not in CONFLICTS:
        raise error
    return JSONResponse({"detail": CONFLICTS[name]}, status_code=409)


def register(app: FastAPI) -> None:
    """Let every route answer conflicts."""
    app.add_exception_handler(IntegrityError, answer_conflict)
