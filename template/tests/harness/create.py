"""Rows for a test: what a factory builds, written through the test's own session.

Building and writing are two steps, so that a factory knows nothing of sessions and its model's constructor is
type-checked.
"""

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

if TYPE_CHECKING:
    from factory.base import Factory

T = TypeVar("T")


class Create(Protocol):
    """`user = await create(UserFactory, email="ada@example.com")`: a row that the application sees."""

    async def __call__(self, factory: "type[Factory[T]]", **attributes: Any) -> T: ...


@pytest.fixture
def create(db_session: AsyncSession) -> Create:
    """Builds a row by a factory, with the attributes given, and writes it and the rows it refers to."""

    async def create_row(factory: "type[Factory[T]]", **attributes: Any) -> T:
        row: T = factory.build(**attributes)
        db_session.add(row)
        # In a savepoint test this is a flush; with a database of its own the application sees only what is committed.
        await db_session.commit()
        return row

    return create_row
