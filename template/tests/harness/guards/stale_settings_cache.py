"""Guard: no function caches a result while a test has changed the environment.

The usual case is `get_settings()` with `lru_cache`: later tests would get the settings of this test. The caches are
cleared in any case; the guard fires if the test has passed, and its fixtures have not cleared them.
"""

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ..core.project import is_own_code, source_folders
from ..core.source_lines import HARNESS
from .base import Guard
from .leaked_environ import ENVIRONMENT, Snapshot

Cached = dict[str, "functools._lru_cache_wrapper[Any]"]

BEFORE = pytest.StashKey[tuple[Snapshot, dict[str, Any]]]()
FOUND = pytest.StashKey[tuple[int, Cached]]()
# What the test has filled, with the names of those that were cleared since its function ended.
FILLED = pytest.StashKey[tuple[Cached, set[str]]]()


@contextmanager
def _around_fixtures(item: pytest.Item) -> Iterator[None]:
    changes = ENVIRONMENT.changes
    infos = {name: function.cache_info() for name, function in _cached(item.config).items()}
    item.stash[BEFORE] = ENVIRONMENT.now(), infos
    filled: Cached = {}
    cleared: set[str] = set()
    item.stash[FILLED] = filled, cleared
    try:
        yield
    finally:
        for function in filled.values():
            del function.cache_clear
        # `monkeypatch` is undone now; a teardown before that may have read settings.
        if ENVIRONMENT.changes != changes:
            _clear(item)
        # Tests are kept until the run ends.
        del item.stash[BEFORE], item.stash[FILLED]
    if left := filled.keys() - cleared:
        GUARD.fires(item, f"{', '.join(sorted(left))} cached a result while the test had changed the environment.")


@contextmanager
def _around_call(item: pytest.Item) -> Iterator[None]:
    try:
        yield
    except BaseException:
        _check(item)
        raise
    if ENVIRONMENT.changed(item.stash[BEFORE][0]):
        filled, cleared = item.stash[FILLED]
        for name, function in _filled(item).items():
            filled[name] = function
            # For the fixtures, which may clear it.
            function.cache_clear = partial(_clear_and_note, function, name, cleared)  # type: ignore[method-assign]


def _clear_and_note(function: "functools._lru_cache_wrapper[Any]", name: str, cleared: set[str]) -> None:
    type(function).cache_clear(function)
    cleared.add(name)


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
    if ENVIRONMENT.changed(item.stash[BEFORE][0]):
        _clear(item)


def _clear(item: pytest.Item) -> None:
    _, infos = item.stash[BEFORE]
    for name, function in _filled(item).items():
        function.cache_clear()
        infos[name] = function.cache_info()


def _filled(item: pytest.Item) -> Cached:
    _, infos = item.stash[BEFORE]
    return {name: function for name, function in _cached(item.config).items() if _is_filled(function, infos.get(name))}


def _is_filled(function: "functools._lru_cache_wrapper[Any]", before: Any) -> bool:
    """Whether a cache has a result that it did not have."""
    now = function.cache_info()
    if before is None or now.currsize > before.currsize:
        return now.currsize > 0
    # A cache that was cleared counts anew. That it was cannot be told if all counts are the same again.
    return now.currsize > 0 and (now.hits < before.hits or now.misses < before.misses)


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
