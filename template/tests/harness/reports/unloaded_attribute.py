"""`MissingGreenlet`: which attribute of which model was read before it was loaded, and what loads it.

SQLAlchemy loads a relationship, or a column that has expired, when it is read, and that takes an `await`, which reading
an attribute cannot have. Pydantic keeps only the text of the error, beside the object and the name.
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
    """An attribute that was read, of an object.

    Attributes:
        row: of a model, mostly.
        name: of the attribute.
        path: names of attributes that led there, of which this is the last.
    """

    row: object
    name: str
    path: tuple[str, ...]

    def __str__(self) -> str:
        return f"{type(self.row).__name__}.{self.name}"


def explanation_of_unloaded(error: BaseException, root: Path) -> str | None:
    """What was read, by which request, where in the project, and what to do; None if nothing was missing."""
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
            # Words of pydantic's: the name of the exception's class comes first.
            if str(detail.get("ctx", {}).get("error")).startswith(f"{MissingGreenlet.__name__}:"):
                path = tuple(name for name in detail["loc"] if isinstance(name, str) and name != "response")
                yield Read(detail["input"], str(detail["loc"][-1]), path)


def _what(reads: list[Read], errors: list[BaseException]) -> str:
    request = _request(errors)
    who = "the test" if request is None else str(request)
    if not reads:
        return f"{who} made SQLAlchemy wait for the database outside of an `await`, where asyncio cannot."
    names = " and ".join(dict.fromkeys(map(str, reads)))
    return f"{who} read {names}, which was not loaded, and asyncio can load nothing without an `await`."


def _request(errors: list[BaseException]) -> Request | None:
    """The request that one of the errors went through."""
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
    # FastAPI makes the answer when the route's function has returned, so no frame is the project's.
    if isinstance(error, ValidationException) and code is not None and is_of_project(Path(code.co_filename), root):
        path = Path(code.co_filename).relative_to(root)
        return [f"  {path}:{code.co_firstlineno}, in {code.co_name}, whose answer was made into its response model"]
    return [f"  {place}" for place in places(error, root)[-1:]]


def _what_to_do(reads: list[Read]) -> Iterator[str]:
    if not reads:
        yield (
            "Await a method of AsyncSession or AsyncConnection; or, for code that is synchronous, "
            "await session.run_sync(function)"
        )
    for model in dict.fromkeys(type(read.row) for read in reads):
        yield from _what_loads(model, {read.name: read for read in reads if type(read.row) is model})


def _what_loads(model: type[object], reads: dict[str, Read]) -> Iterator[str]:
    mapper = _mapper(model)
    options = [option for read in reads.values() if mapper is not None and (option := _option(mapper, read))]
    names = ", ".join(f'"{name}"' for name in reads)
    row = model.__name__.lower()
    if options:
        yield f"Load it with its row: select({model.__name__}).options({', '.join(options)})"
        if any(len(read.path) > 1 for read in reads.values()):
            yield f"  where a relationship loads {model.__name__}, after the option of that: .{options[0]}"
        yield f"  for a row that is there: await session.refresh({row}, [{names}])"
    elif mapper is not None and not reads.keys().isdisjoint(mapper.column_attrs.keys()):
        # No option of a query: the row was loaded, and its columns have expired since.
        yield f"A commit, or a flush, has made it stale. Load it again: await session.refresh({row})"
        yield "  or let a commit make nothing stale: async_sessionmaker(engine, expire_on_commit=False)"
    else:
        yield f"Load what it reads with its row: select({model.__name__}).options(selectinload({model.__name__}.…))"


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
