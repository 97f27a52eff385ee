"""The application's engines for PostgreSQL, and their pools."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet, ref

from sqlalchemy import Connection, Engine, Pool
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
    _of_harness: "WeakSet[Dialect]" = field(default_factory=WeakSet)

    def exempt(self, engine: AsyncEngine) -> None:
        """Mark an engine as one of the harness."""
        self._of_harness.add(engine.sync_engine.dialect)

    def is_of_harness(self, dialect: Dialect) -> bool:
        """Whether a dialect belongs to an engine of the harness."""
        return dialect in self._of_harness

    def recording(self, created: Callable[..., None], is_of_test: Callable[[], bool]) -> Any:
        """Wrap `Dialect.engine_created`, which SQLAlchemy calls with each new engine; record whether a test created it.

        Not the constructor: `create_engine` reads the names of its arguments from its signature.
        """

        @functools.wraps(created)
        def record(dialect: type[Dialect], engine: Engine) -> None:
            created(engine)
            self._created.append(CreatedEngine(ref(engine), is_of_test()))

        return classmethod(record)

    def engine_connect(self, connection: Connection) -> None:
        """Listener of SQLAlchemy's event: an engine may have been created before the harness was loaded."""
        self._connected.add(connection.engine)

    def first(self) -> Engine | None:
        """The first asynchronous engine that the application created; otherwise the first that a test created."""
        for is_of_test in (False, True):
            for made in self._created:
                engine = made.engine()
                if engine is not None and made.is_of_test == is_of_test and self._is_candidate(engine):
                    return engine
        return next((engine for engine in self._connected if self._is_candidate(engine)), None)

    def only_others(self) -> set[str]:
        """The names of other database systems, if there are engines and none is for PostgreSQL."""
        names = {
            engine.dialect.name
            for made in self._created
            if (engine := made.engine()) is not None and engine.dialect not in self._of_harness
        }
        return set() if "postgresql" in names else names

    def replace_pools(self) -> list[tuple[Pool, bool]]:
        """Give each engine a new pool.

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

    def _is_candidate(self, engine: Engine) -> bool:
        return self._is_postgresql(engine) and engine.dialect.is_async
