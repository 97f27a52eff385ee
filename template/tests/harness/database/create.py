"""Rows for a test: built by a factory, and written in the session of the test.

Building and writing are separate steps: factories need no session, and the constructors of models are type-checked.
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
    """`user = await create(UserFactory, email="ada@example.com")`: a row that is visible to the application."""

    async def __call__(self, factory: "type[Factory[T]]", **attributes: Any) -> T: ...


@pytest.fixture
def create(db_session: AsyncSession) -> Create:
    """Builds a row with a factory and the given attributes, and writes it and the rows that it references."""

    async def create_row(factory: "type[Factory[T]]", **attributes: Any) -> T:
        row: T = factory.build(**attributes)
        db_session.add(row)
        try:
            # With a database of its own, the application sees only committed rows.
            await db_session.commit()
        except IntegrityError as error:
            if getattr(error.orig, "sqlstate", None) == UNIQUE_VIOLATION:
                error.add_note(
                    f"create({factory.__name__}): a row with the same unique value exists already, from this test or "
                    "from a migration. Generate a value for each row in the factory: Sequence(lambda number: ...)."
                )
            raise
        return row

    return create_row
