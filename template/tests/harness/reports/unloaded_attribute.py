"""The explanation of `MissingGreenlet`: which attribute was read before it was loaded, and how to load it.

SQLAlchemy loads a relationship or an expired column when it is read. That needs an `await`, and reading an attribute
has none. Of this error, pydantic keeps the text, the object and the name of the attribute.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi.exceptions import ValidationException
from pydantic import ValidationError
from sqlalchemy import inspect
from sqlalchemy.exc import MissingGreenlet, NoInspectionAvailable
from sqlalchemy.orm import InstrumentedAttribute, Mapper

from ..core.exception_chain import chain, frames
from ..core.requests import Request
from ..core.source_lines import is_of_project, places


@dataclass(frozen=True)
class Read:
    """An attribute that was read.

    Attributes:
        row: the object, mostly an instance of a model.
        name: the name of the attribute.
        path: the names of the attributes from the response to this one.
    """

    row: object
    name: str
    path: tuple[str, ...]

    def __str__(self) -> str:
        return f"{type(self.row).__name__}.{self.name}"


def explanation_of_unloaded(error: BaseException, root: Path) -> str | None:
    """The attribute, the request, the line and what to do; None for another error."""
    errors = list(chain(error))
    for found in errors:
        reads = list(_reads(found))
        if reads or isinstance(found, MissingGreenlet):
            return "\n".join([_what(reads, errors), *_where(found, errors, root), *_what_to_do(reads)])
    return None


def _reads(error: BaseException) -> Iterator[Read]:
    if isinstance(error, MissingGreenlet):
        for frame in frames(error):
            attribute, row = frame.f_locals.get("self"), frame.f_locals.get("instance")
            if isinstance(attribute, InstrumentedAttribute) and row is not None:
                yield Read(row, attribute.key, (attribute.key,))
                return
    elif isinstance(error, ValidationError | ValidationException):
        for detail in error.errors():
            # pydantic's text of an exception begins with its class.
            if str(detail.get("ctx", {}).get("error")).startswith(f"{MissingGreenlet.__name__}:"):
                path = tuple(name for name in detail["loc"] if isinstance(name, str) and name != "response")
                yield Read(detail["input"], str(detail["loc"][-1]), path)


def _what(reads: list[Read], errors: list[BaseException]) -> str:
    request = _request(errors)
    who = "the test" if request is None else str(request)
    if not reads:
        return f"{who} accessed the database outside of an `await`; asyncio cannot wait for it there."
    names = " and ".join(dict.fromkeys(map(str, reads)))
    return f"{who} read {names}, which was not loaded; asyncio cannot load it without an `await`."


def _request(errors: list[BaseException]) -> Request | None:
    """The request in the frames of the errors."""
    for error in errors:
        for frame in frames(error):
            if frame.f_globals.get("__name__") == Request.__module__:
                for value in frame.f_locals.values():
                    if isinstance(value, Request):
                        return value
    return None


def _where(error: BaseException, errors: list[BaseException], root: Path) -> list[str]:
    request = _request(errors)
    endpoint = None if request is None else getattr(request.scope.get("route"), "endpoint", None)
    code = getattr(endpoint, "__code__", None)
    # FastAPI serializes the response after the route has returned: no frame is the project's.
    if isinstance(error, ValidationException) and code is not None and is_of_project(Path(code.co_filename), root):
        path = Path(code.co_filename).relative_to(root)
        return [
            f"  {path}:{code.co_firstlineno}, in {code.co_name}, whose return value was converted to its response model"
        ]
    return [f"  {place}" for place in places(error, root)[-1:]]


def _what_to_do(reads: list[Read]) -> Iterator[str]:
    if not reads:
        yield (
            "Await a method of AsyncSession or AsyncConnection; for synchronous code: await session.run_sync(function)"
        )
    for model in dict.fromkeys(type(read.row) for read in reads):
        yield from _what_loads(model, {read.name: read for read in reads if type(read.row) is model})


def _what_loads(model: type[object], reads: dict[str, Read]) -> Iterator[str]:
    mapper = _mapper(model)
    options = [option for read in reads.values() if mapper is not None and (option := _option(mapper, read))]
    names = ", ".join(f'"{name}"' for name in reads)
    row = model.__name__.lower()
    if options:
        yield f"Load it in the query: select({model.__name__}).options({', '.join(options)})"
        if any(len(read.path) > 1 for read in reads.values()):
            yield f"  if a relationship loads {model.__name__}, append to its option: .{options[0]}"
        yield f"  or, for a loaded row: await session.refresh({row}, [{names}])"
    elif mapper is not None and not reads.keys().isdisjoint(mapper.column_attrs.keys()):
        # The columns were loaded and have expired since.
        yield f"A commit or a flush has expired it. Load it again: await session.refresh({row})"
        yield "  or do not expire on commit: async_sessionmaker(engine, expire_on_commit=False)"
    else:
        yield f"Load what it reads in the query: select({model.__name__}).options(selectinload({model.__name__}.…))"


def _mapper(model: type[object]) -> Mapper[Any] | None:
    try:
        found: Any = inspect(model)
    except NoInspectionAvailable:
        return None
    return found if isinstance(found, Mapper) else None


def _option(mapper: Mapper[Any], read: Read) -> str | None:
    if read.name in mapper.relationships:
        return f"selectinload({read})"
    column = mapper.column_attrs.get(read.name)
    return f"undefer({read})" if column is not None and column.deferred else None
