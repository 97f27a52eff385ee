"""Guard: no function remembers what it has read while a test had changed the environment.

`get_settings()` under `lru_cache` is the usual one: the tests after it get the settings of this test. What was
remembered is forgotten however the test ends; the guard fires if the test has passed.
"""

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .base import Guard
from .leaked_environ import ENVIRONMENT

Cached = dict[str, "functools._lru_cache_wrapper[Any]"]

BEFORE = pytest.StashKey[tuple[dict[str, str], dict[str, int]]]()
FOUND = pytest.StashKey[tuple[int, Cached]]()


@contextmanager
def _around_fixtures(item: pytest.Item) -> Iterator[None]:
    changes = ENVIRONMENT.changes
    item.stash[BEFORE] = ENVIRONMENT.now(), {name: _size(function) for name, function in _cached(item.config).items()}
    try:
        yield
    finally:
        # By now `monkeypatch` is undone; what came before, in tear-down, may have read settings.
        if ENVIRONMENT.changes != changes:
            _forget(item)


@contextmanager
def _around_call(item: pytest.Item) -> Iterator[None]:
    try:
        yield
    except BaseException:
        _look(item)
        raise
    if forgotten := _look(item):
        what = f"{', '.join(forgotten)} remembers what it has read in an environment that the test has changed."
        GUARD.fires(item, what)


@contextmanager
def around_setup(item: pytest.Item) -> Iterator[None]:
    """Lets what was remembered be forgotten if the set-up of the test fails."""
    try:
        yield
    except BaseException:
        # The test itself is not called.
        if BEFORE in item.stash:
            _look(item)
        raise


def _look(item: pytest.Item) -> list[str]:
    """What was remembered since the test began, and is forgotten, if the environment is another than it was then."""
    return _forget(item) if ENVIRONMENT.now() != item.stash[BEFORE][0] else []


def _forget(item: pytest.Item) -> list[str]:
    _, sizes = item.stash[BEFORE]
    grown = {name: function for name, function in _cached(item.config).items() if _size(function) > sizes.get(name, 0)}
    for name, function in grown.items():
        function.cache_clear()
        sizes[name] = 0
    return list(grown)


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
    "stale_settings_cache",
    why="the tests after it get the settings of this one.",
    instead="hand settings over, as `create_app(settings)` does, or call its cache_clear() before and after.",
    fixtures=_around_fixtures,
    call=_around_call,
    formerly="settings_cache",
)
