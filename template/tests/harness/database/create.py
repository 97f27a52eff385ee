"""Rows for a test: built by a factory, and written in the session of the test.

Building and writing are separate steps: factories need no session, and the constructors of models are type-checked.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from ..transaction.raw_connection import sqlstate

if TYPE_CHECKING:
    from factory.base import Factory

T = TypeVar("T")

# https://www.postgresql.org/docs/current/errcodes-appendix.html
UNIQUE_VIOLATION = "23505"


class Create(Protocol):
    """`user = await create(UserFactory, email="ada@example.com")`: a row that is visible to the application.

    In a synchronous application, without `await`.
    """

    async def __call__(self, factory: "type[Factory[T]]", **attributes: Any) -> T: ...


@pytest.fixture
def create(db_session: AsyncSession | Session) -> Create:
    """Builds a row with a factory and the given attributes, and writes it and the rows that it references."""

    # With a database of its own, the application sees only committed rows.
    async def create_row(factory: "type[Factory[T]]", **attributes: Any) -> T:
        row: T = factory.build(**attributes)
        db_session.add(row)
        with _explaining(factory):
            await db_session.commit()  # type: ignore[misc]  # an AsyncSession
        return row

    def create_row_now(factory: "type[Factory[T]]", **attributes: Any) -> T:
        row: T = factory.build(**attributes)
        db_session.add(row)
        with _explaining(factory):
            db_session.commit()
        return row

    made: Any = create_row_now if isinstance(db_session, Session) else create_row
    return cast(Create, made)


@contextmanager
def _explaining(factory: "type[Factory[Any]]") -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        if sqlstate(error.orig) == UNIQUE_VIOLATION:
            error.add_note(
                f"create({factory.__name__}): a row with the same unique value exists already, from this test or "
                "from a migration. Generate a value for each row in the factory: Sequence(lambda number: ...)."
            )
        raise
