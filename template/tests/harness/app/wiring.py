"""What the harness has to be told about the application: fixtures that `tests/conftest.py` overrides.

A wiring fixture that is missing fails the tests that need it, with the lines to write.
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
    pytest.fail(f"tests/conftest.py has to define the fixture `{name}`, for example:\n\n{lines}", pytrace=False)


@pytest.fixture(scope="session")
def app() -> object:
    """The application under test, a FastAPI instance."""
    _missing("app", APP)


@pytest.fixture(scope="session")
def session_factory(application_engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """Makes sessions of the application's engine, for code that is no route; a project may define its own."""
    return async_sessionmaker(application_engine, expire_on_commit=False)


@pytest.fixture(scope="session")
def metadata() -> object:
    """What the models say the schema is."""
    _missing("metadata", METADATA)
