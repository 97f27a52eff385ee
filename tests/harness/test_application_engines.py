"""Which engines an application has, and whether it is synchronous."""

import gc
from collections.abc import Callable

import pytest
from harness.connections.application_engines import Engines
from harness.connections.shared_connections import SharedConnections
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import create_async_engine

SYNCHRONOUS, ASYNCHRONOUS = "postgresql+psycopg://shop@db/shop", "postgresql+asyncpg://shop@db/shop"
Make = Callable[..., Engine]


@pytest.fixture
def engines() -> Engines:
    return Engines()


@pytest.fixture
def make(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> Make:
    """`make(url, is_of_test=True)`: an engine that a test or the application creates, and that stays."""
    kept, is_of_test = list[object](), False
    monkeypatch.setattr(Dialect, "engine_created", engines.recording(Dialect.engine_created, lambda: is_of_test))

    def create(url: str, *, of_test: bool = False) -> Engine:
        nonlocal is_of_test
        is_of_test = of_test
        if url == ASYNCHRONOUS:
            kept.append(engine := create_async_engine(url))
            return engine.sync_engine
        kept.append(plain := create_engine(url))
        return plain

    return create


def test_no_engine(engines: Engines) -> None:
    assert not engines.is_synchronous
    assert engines.first() is None


def test_synchronous_engines(engines: Engines, make: Make) -> None:
    first, _ = make(SYNCHRONOUS), make(SYNCHRONOUS)

    assert engines.is_synchronous
    assert engines.first() is first


def test_an_engine_of_a_fixture(engines: Engines, make: Make) -> None:
    make(SYNCHRONOUS, of_test=True)

    assert engines.is_synchronous


def test_an_asynchronous_engine_comes_first(engines: Engines, make: Make) -> None:
    make(SYNCHRONOUS)
    asynchronous = make(ASYNCHRONOUS)

    assert not engines.is_synchronous
    assert engines.first() is asynchronous


def test_an_asynchronous_engine_of_env_py_changes_nothing(engines: Engines, make: Make) -> None:
    make(SYNCHRONOUS)
    make(ASYNCHRONOUS, of_test=True)

    assert engines.is_synchronous


def test_another_database_is_ignored(engines: Engines, make: Make) -> None:
    make("sqlite://")

    assert not engines.is_synchronous
    assert engines.first() is None


def test_an_engine_of_the_harness_is_ignored(engines: Engines, make: Make) -> None:
    engines.exempt(synchronous := make(SYNCHRONOUS), synchronous.url)

    assert not engines.is_synchronous


def test_engines_that_are_gone_are_forgotten(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dialect, "engine_created", engines.recording(Dialect.engine_created, lambda: False))
    create_engine(SYNCHRONOUS)
    gc.collect()

    assert not engines.is_synchronous


def test_an_engine_that_was_there_before(engines: Engines) -> None:
    before = create_engine(SYNCHRONOUS)

    engines.find()

    assert before in {made.engine() for made in engines._created}


def test_a_shared_connection_of_asynchronous_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    connections = SharedConnections()
    monkeypatch.setattr(Dialect, "engine_created", connections.engines.recording(Dialect.engine_created, lambda: True))
    engine = create_engine(SYNCHRONOUS)
    assert connections.sharing_error("psycopg", is_async=False) is None

    assert connections.sharing_error("pg8000", is_async=False) == (
        "an engine on pg8000 connects in a savepoint test; of the synchronous drivers, only psycopg and psycopg2 can "
        "share its connection."
    )
    # An asynchronous engine of the same process has connected.
    connections.shared.transactions.connection = object()  # type: ignore[assignment]
    assert connections.sharing_error("psycopg", is_async=False) == (
        "a synchronous engine (psycopg) connects in a savepoint test, and cannot share the test's connection."
    )
    engine.dispose()
