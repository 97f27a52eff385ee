"""How the harness finds the application and its models.

The settings `application` and `models_metadata` name them. Without the settings, `tests/conftest.py` overrides the
fixtures `app` and `metadata`; if an override is missing, the tests that need it fail with the lines to write. A service
may have fixtures of these names with another meaning: the harness itself uses `_application` and `_models_metadata`.
"""

from functools import reduce
from importlib import import_module
from typing import Any, NoReturn

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from ..core.project import shown
from ..core.settings import FILE, TABLE, settings_of
from ..core.source_lines import HARNESS

APP = """\
@pytest.fixture(scope="session")
def app() -> FastAPI:
    return create_app(Settings(...))"""

METADATA = """\
@pytest.fixture(scope="session")
def metadata() -> MetaData:
    return Base.metadata"""


def _missing(config: pytest.Config, name: str, lines: str, setting: str) -> NoReturn:
    conftest = shown(HARNESS.with_name("conftest.py"), config)
    pytest.fail(
        f"{conftest} must define the fixture `{name}`, for example:\n\n{lines}\n\n"
        f"Or set {setting} under {TABLE} in {FILE}.",
        pytrace=False,
    )


def load(setting: str, path: str) -> Any:
    """The object that a setting names: `package.module:name.attribute`, and with `()` at its end the object it returns.

    Fails the test with the setting's name if there is no such object; an error in the module itself is not changed.
    """
    module, _, name = path.partition(":")
    try:
        found: Any = import_module(module)
    except ModuleNotFoundError as error:
        # Another missing module is an error of the application's.
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        _wrong(setting, path, str(error))
    try:
        found = reduce(getattr, name.removesuffix("()").split("."), found)
    except AttributeError as error:
        _wrong(setting, path, str(error))
    return found() if name.endswith("()") else found


def _wrong(setting: str, path: str, why: str) -> NoReturn:
    pytest.fail(f"{FILE}: {TABLE}: {setting} = {path!r}: {why}.", pytrace=False)


@pytest.fixture(scope="session")
def _application(request: pytest.FixtureRequest) -> Any:
    """The application under test: of the setting `application`, or else of the fixture `app`."""
    path = settings_of(request.config).application
    return load("application", path) if path else request.getfixturevalue("app")


@pytest.fixture(scope="session")
def _models_metadata(request: pytest.FixtureRequest) -> Any:
    """The `MetaData` of the models: of the setting `models_metadata`, or else of the fixture `metadata`."""
    settings = settings_of(request.config)
    if settings.application:
        # It imports every model; the module of the metadata may import none.
        request.getfixturevalue("_application")
    path = settings.models_metadata
    return load("models_metadata", path) if path else request.getfixturevalue("metadata")


@pytest.fixture(scope="session")
def app(request: pytest.FixtureRequest) -> Any:
    """The application under test, a FastAPI instance."""
    if settings_of(request.config).application:
        return request.getfixturevalue("_application")
    _missing(request.config, "app", APP, "application")


@pytest.fixture(scope="session")
def session_factory(application_engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """Creates sessions on the application's engine, for code outside of routes; a project may override it."""
    return async_sessionmaker(application_engine, expire_on_commit=False)


@pytest.fixture(scope="session")
def metadata(request: pytest.FixtureRequest) -> Any:
    """The `MetaData` of the models."""
    if settings_of(request.config).models_metadata:
        return request.getfixturevalue("_models_metadata")
    _missing(request.config, "metadata", METADATA, "models_metadata")
