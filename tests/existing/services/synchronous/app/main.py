from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from app.routes import notes, users

app = FastAPI(title="Notebook")
app.include_router(users.router)
app.include_router(notes.router)


@app.exception_handler(RequestValidationError)
def refuse(request: Request, error: RequestValidationError) -> JSONResponse:
    """Without the input: JSON has no NaN."""
    return JSONResponse({"detail": [problem["msg"] for problem in error.errors()]}, 422)
