"""What the harness has to be told about the application: three fixtures that `tests/conftest.py` overrides.

A wiring fixture that is missing fails the tests that need it, with the lines to write.
"""

from typing import NoReturn

import pytest

APP = """\
@pytest.fixture(scope="session")
def app() -> FastAPI:
    return create_app(Settings(...))"""

SESSION_FACTORY = """\
@pytest.fixture(scope="session")
def session_factory(running_app: RunningApp) -> async_sessionmaker[AsyncSession]:
    return running_app.state["session_factory"]"""

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
def session_factory() -> object:
    """The `async_sessionmaker` that the application itself uses."""
    _missing("session_factory", SESSION_FACTORY)


@pytest.fixture(scope="session")
def metadata() -> object:
    """What the models say the schema is."""
    _missing("metadata", METADATA)
