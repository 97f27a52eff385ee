"""Fixtures that `tests/conftest.py` must override: they connect the harness to the application.

If an override is missing, the tests that need it fail with the lines to write.
"""

from typing import NoReturn

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

APP = """\
@pytest.fixture(scope="session")
def app() -> FastAPI:
    return create_app(Settings(...))"""

METADATA = """\
@pytest.fixture(scope="session")
def metadata() -> MetaData:
    return Base.metadata"""


def _missing(name: str, lines: str) -> NoReturn:
    pytest.fail(f"tests/conftest.py must define the fixture `{name}`, for example:\n\n{lines}", pytrace=False)


@pytest.fixture(scope="session")
def app() -> object:
    """The application under test, a FastAPI instance."""
    _missing("app", APP)


@pytest.fixture(scope="session")
def session_factory(application_engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """Creates sessions on the application's engine, for code outside of routes; a project may override it."""
    return async_sessionmaker(application_engine, expire_on_commit=False)


@pytest.fixture(scope="session")
def metadata() -> object:
    """The `MetaData` of the models."""
    _missing("metadata", METADATA)
