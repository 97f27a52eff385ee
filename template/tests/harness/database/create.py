"""Rows for a test: what a factory builds, written through the test's own session.

Building and writing are two steps, so that a factory knows nothing of sessions and its model's constructor is
type-checked.
"""

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

if TYPE_CHECKING:
    from factory.base import Factory

T = TypeVar("T")

# https://www.postgresql.org/docs/current/errcodes-appendix.html
UNIQUE_VIOLATION = "23505"


class Create(Protocol):
    """`user = await create(UserFactory, email="ada@example.com")`: a row that the application sees."""

    async def __call__(self, factory: "type[Factory[T]]", **attributes: Any) -> T: ...


@pytest.fixture
def create(db_session: AsyncSession) -> Create:
    """Builds a row by a factory, with the attributes given, and writes it and the rows it refers to."""

    async def create_row(factory: "type[Factory[T]]", **attributes: Any) -> T:
        row: T = factory.build(**attributes)
        db_session.add(row)
        try:
            # In a savepoint test, a flush; with a database of its own the application sees only what is committed.
            await db_session.commit()
        except IntegrityError as error:
            if getattr(error.orig, "sqlstate", None) == UNIQUE_VIOLATION:
                error.add_note(
                    f"create({factory.__name__}) has written a row like it before, in this test or in a migration. "
                    "Let the factory make a value of its own for each row: Sequence(lambda number: ...)."
                )
            raise
        return row

    return create_row
