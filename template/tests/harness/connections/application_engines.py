"""The application's engines for PostgreSQL: which there are, and their pools."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet, ref

from sqlalchemy import Connection, Engine, Pool
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine


@dataclass
class Made:
    """An engine, and whether a test made it, or what is imported for tests."""

    engine: "ref[Engine]"
    is_of_test: bool


@dataclass
class Engines:
    """Those of this process, but for the harness's own."""

    _made: list[Made] = field(default_factory=list)
    _connected: "WeakSet[Engine]" = field(default_factory=WeakSet)
    _of_harness: "WeakSet[Dialect]" = field(default_factory=WeakSet)

    def exempt(self, engine: AsyncEngine) -> None:
        """Take one of the harness's own engines for none of these."""
        self._of_harness.add(engine.sync_engine.dialect)

    def is_of_harness(self, dialect: Dialect) -> bool:
        """Whether a dialect is that of one of the harness's own."""
        return dialect in self._of_harness

    def noting(self, init: Callable[..., None], is_of_test: Callable[[], bool]) -> Callable[..., None]:
        """The constructor of SQLAlchemy's engines, which notes each, and whether a test makes it."""

        @functools.wraps(init)
        def init_and_note(engine: Engine, *arguments: Any, **options: Any) -> None:
            init(engine, *arguments, **options)
            self._made.append(Made(ref(engine), is_of_test()))

        return init_and_note

    def engine_connect(self, connection: Connection) -> None:
        """Listen to SQLAlchemy's event of that name: an engine may have been made before the harness was there."""
        self._connected.add(connection.engine)

    def first(self) -> Engine | None:
        """The application's own: the first asynchronous one that it has made by itself, or else a test."""
        for is_of_test in (False, True):
            for made in self._made:
                engine = made.engine()
                if engine is not None and made.is_of_test == is_of_test and self._is_wanted(engine):
                    return engine
        return next((engine for engine in self._connected if self._is_wanted(engine)), None)

    def new_pools(self) -> list[tuple[Pool, bool]]:
        """Let these engines connect anew.

        Returns:
            The pools that they had, and whether each is asynchronous; their idle connections are still open.
        """
        made = [engine for made in self._made if (engine := made.engine()) is not None]
        engines = [engine for engine in {*made, *self._connected} if self._is_any(engine)]
        pools = {engine.pool: engine.dialect.is_async for engine in engines}
        for engine in engines:
            engine.dispose(close=False)
        return list(pools.items())

    def _is_any(self, engine: Engine) -> bool:
        return engine.dialect.name == "postgresql" and engine.dialect not in self._of_harness

    def _is_wanted(self, engine: Engine) -> bool:
        return self._is_any(engine) and engine.dialect.is_async
