"""Guard: no function remembers what it has read while a test had changed the environment.

`get_settings()` under `lru_cache` is the usual one: the tests after it get the settings of this test.
"""

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .environment import ENVIRONMENT
from .guards import Guard

Cached = dict[str, "functools._lru_cache_wrapper[Any]"]

BEFORE = pytest.StashKey[tuple[dict[str, str], dict[str, int]]]()
FOUND = pytest.StashKey[tuple[int, Cached]]()


@contextmanager
def _before_fixtures(item: pytest.Item) -> Iterator[None]:
    item.stash[BEFORE] = ENVIRONMENT.now(), {name: _size(function) for name, function in _cached(item.config).items()}
    yield


@contextmanager
def _watching(item: pytest.Item) -> Iterator[None]:
    yield
    environment, sizes = item.stash[BEFORE]
    remembered = _cached(item.config)
    grown = [name for name, function in remembered.items() if _size(function) > sizes.get(name, 0)]
    if grown and ENVIRONMENT.now() != environment:
        for name in grown:
            remembered[name].cache_clear()
        GUARD.fires(item, f"{', '.join(grown)} remembers what it has read in an environment that the test has changed.")


def _size(function: "functools._lru_cache_wrapper[Any]") -> int:
    return function.cache_info().currsize


def _cached(config: pytest.Config) -> Cached:
    """The functions of the project that remember, by name; looked for anew only if something was imported."""
    count, found = config.stash.get(FOUND, (0, {}))
    if count != len(sys.modules):
        found = {
            f"{name}.{key}": value
            for name, module in list(sys.modules.items())
            if Path(getattr(module, "__file__", None) or "/").is_relative_to(config.rootpath / "src")
            for key, value in vars(module).items()
            if isinstance(value, functools._lru_cache_wrapper)
        }
        config.stash[FOUND] = len(sys.modules), found
    return found


GUARD = Guard(
    "settings_cache",
    why="the tests after it get the settings of this one.",
    instead="hand settings over, as `create_app(settings)` does, or call its cache_clear() before and after.",
    fixtures=_before_fixtures,
    call=_watching,
)
