"""Guard: no function caches a result while a test has changed the environment.

The usual case is `get_settings()` with `lru_cache`: later tests would get the settings of this test. The caches are
cleared in any case; the guard fires if the test has passed, and its fixtures have not cleared them.
"""

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ..core.project import is_own_code, source_folders
from ..core.source_lines import HARNESS
from .base import Guard
from .leaked_environ import ENVIRONMENT

Cached = dict[str, "functools._lru_cache_wrapper[Any]"]

BEFORE = pytest.StashKey[tuple[dict[str, str], dict[str, int]]]()
# What the test has filled, with the number of calls until then.
FILLED = pytest.StashKey[dict[str, int]]()
FOUND = pytest.StashKey[tuple[int, Cached]]()


@contextmanager
def _around_fixtures(item: pytest.Item) -> Iterator[None]:
    changes = ENVIRONMENT.changes
    item.stash[BEFORE] = ENVIRONMENT.now(), {name: _size(function) for name, function in _cached(item.config).items()}
    try:
        yield
    finally:
        filled, functions = item.stash.get(FILLED, {}), _cached(item.config)
        # A cache that was cleared counts anew.
        left = [name for name, calls in filled.items() if name in functions and _calls(functions[name]) >= calls]
        # `monkeypatch` is undone now; a teardown before that may have read settings.
        if ENVIRONMENT.changes != changes:
            _clear(item)
        # Tests are kept until the run ends.
        del item.stash[BEFORE]
    if left:
        GUARD.fires(item, f"{', '.join(left)} cached a result while the test had changed the environment.")


@contextmanager
def _around_call(item: pytest.Item) -> Iterator[None]:
    try:
        yield
    except BaseException:
        _check(item)
        raise
    if ENVIRONMENT.now() != item.stash[BEFORE][0]:
        item.stash[FILLED] = {name: _calls(function) for name, function in _grown(item).items()}


@contextmanager
def around_setup(item: pytest.Item) -> Iterator[None]:
    """Clears the caches if the setup of the test fails."""
    try:
        yield
    except BaseException:
        # The test function is not called.
        if BEFORE in item.stash:
            _check(item)
        raise


def _check(item: pytest.Item) -> None:
    """Clear the caches that were filled since the test began, if the environment has changed."""
    if ENVIRONMENT.now() != item.stash[BEFORE][0]:
        _clear(item)


def _clear(item: pytest.Item) -> None:
    _, sizes = item.stash[BEFORE]
    for name, function in _grown(item).items():
        function.cache_clear()
        sizes[name] = 0


def _grown(item: pytest.Item) -> Cached:
    _, sizes = item.stash[BEFORE]
    return {name: function for name, function in _cached(item.config).items() if _size(function) > sizes.get(name, 0)}


def _size(function: "functools._lru_cache_wrapper[Any]") -> int:
    return function.cache_info().currsize


def _calls(function: "functools._lru_cache_wrapper[Any]") -> int:
    return function.cache_info().hits + function.cache_info().misses


def _cached(config: pytest.Config) -> Cached:
    """The project's functions with `lru_cache`, by name; searched again only after an import."""
    count, found = config.stash.get(FOUND, (0, {}))
    if count != len(sys.modules):
        # Libraries have thousands of modules, and a path of each would be made.
        folders = tuple(map(str, source_folders(config)))
        found = {
            f"{name}.{key}": value
            for name, module in list(sys.modules.items())
            if (file := str(getattr(module, "__file__", None) or "/")).startswith(folders)
            and is_own_code(path := Path(file), config)
            # The tests folder may be a part of the application's package.
            and not path.is_relative_to(HARNESS)
            for key, value in vars(module).items()
            if isinstance(value, functools._lru_cache_wrapper)
        }
        config.stash[FOUND] = len(sys.modules), found
    return found


GUARD = Guard(
    "stale_settings_cache",
    why="Later tests would get the settings of this test.",
    instead="Pass settings as an argument, e.g. `create_app(settings)`, or call cache_clear() before and after.",
    fixtures=_around_fixtures,
    call=_around_call,
    formerly="settings_cache",
    # It depends on the tests before.
    is_repeatable=False,
)
