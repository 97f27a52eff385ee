"""The application's engines for PostgreSQL, and their pools."""

import functools
import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary, WeakSet, ref

from sqlalchemy import URL, Connection, Engine, Pool
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine


@dataclass
class CreatedEngine:
    """An engine, and whether a test (or a module of the tests) created it."""

    engine: "ref[Engine]"
    is_of_test: bool


@dataclass
class Engines:
    """The engines of this process, except those of the harness."""

    _created: list[CreatedEngine] = field(default_factory=list)
    _connected: "WeakSet[Engine]" = field(default_factory=WeakSet)
    _of_harness: "WeakKeyDictionary[Dialect, URL]" = field(default_factory=WeakKeyDictionary)
    _original: Any = None

    def exempt(self, engine: AsyncEngine | Engine, url: URL) -> None:
        """Mark an engine as one of the harness; `url` has libpq's parameters."""
        self._of_harness[engine.dialect] = url

    def url_of_harness(self, dialect: Dialect) -> URL | None:
        """The database of an engine of the harness; None for other engines."""
        return self._of_harness.get(dialect)

    def recording(self, created: Callable[..., None], is_of_test: Callable[[], bool]) -> Any:
        """Wrap `Dialect.engine_created`, which SQLAlchemy calls with each new engine; record whether a test created it.

        Not the constructor: `create_engine` reads the names of its arguments from its signature.
        """

        @functools.wraps(created)
        def record(dialect: type[Dialect], engine: Engine) -> None:
            created(engine)
            self._created.append(CreatedEngine(ref(engine), is_of_test()))

        return classmethod(record)

    def record(self, is_of_test: Callable[[], bool]) -> None:
        """Record every new engine, until `stop_recording`."""
        if self._original is None:
            self._original = vars(Dialect)["engine_created"]
            Dialect.engine_created = self.recording(Dialect.engine_created, is_of_test)  # type: ignore[method-assign]

    def stop_recording(self) -> None:
        """Record no more engines."""
        if self._original is not None:
            Dialect.engine_created, self._original = self._original, None  # type: ignore[method-assign]

    def find(self) -> None:
        """Record the engines that were created before the constructor was wrapped: at the import of a conftest.py."""
        # SQLAlchemy has no list of them.
        found = [each for each in gc.get_objects() if issubclass(type(each), Engine)]
        known = {made.engine() for made in self._created}
        self._created += [CreatedEngine(ref(engine), is_of_test=False) for engine in found if engine not in known]

    def engine_connect(self, connection: Connection) -> None:
        """Listener of SQLAlchemy's event: an engine may have been created before the harness was loaded."""
        self._connected.add(connection.engine)

    def first(self) -> Engine | None:
        """The first engine that the application created; otherwise the first that a test created.

        An asynchronous engine precedes a synchronous engine.
        """
        for is_async in (True, False):
            for is_of_test in (False, True):
                if (engine := self._first(is_async=is_async, is_of_test=is_of_test)) is not None:
                    return engine
            for engine in self._connected:
                if self._is_postgresql(engine) and engine.dialect.is_async is is_async:
                    return engine
        return None

    @property
    def is_synchronous(self) -> bool:
        """Whether there is a synchronous engine, and the application has no asynchronous engine."""
        # Called for each test, of which each may create an engine.
        self._created = [made for made in self._created if made.engine() is not None]
        if self._first(is_async=True, is_of_test=False) is not None:
            return False
        known = {engine for made in self._created if (engine := made.engine()) is not None}
        if any(engine.dialect.is_async for engine in self._connected - known if self._is_postgresql(engine)):
            return False
        return any(not engine.dialect.is_async and self._is_postgresql(engine) for engine in {*known, *self._connected})

    def _first(self, *, is_async: bool, is_of_test: bool) -> Engine | None:
        for made in self._created:
            engine = made.engine()
            is_wanted = engine is not None and made.is_of_test == is_of_test and self._is_postgresql(engine)
            if is_wanted and engine is not None and engine.dialect.is_async is is_async:
                return engine
        return None

    def only_others(self) -> set[str]:
        """The names of other database systems, if there are engines and none is for PostgreSQL."""
        names = {
            engine.dialect.name
            for made in self._created
            if (engine := made.engine()) is not None and engine.dialect not in self._of_harness
        }
        return set() if "postgresql" in names else names

    def replace_pools(self) -> list[tuple[Pool, bool]]:
        """Give each engine a new pool; connections that are checked out stay open.

        Returns:
            The old pools, and whether each is asynchronous; their idle connections are still open.
        """
        made = [engine for made in self._created if (engine := made.engine()) is not None]
        engines = [engine for engine in {*made, *self._connected} if self._is_postgresql(engine)]
        pools = {engine.pool: engine.dialect.is_async for engine in engines}
        for engine in engines:
            engine.dispose(close=False)
        return list(pools.items())

    def _is_postgresql(self, engine: Engine) -> bool:
        return engine.dialect.name == "postgresql" and engine.dialect not in self._of_harness
