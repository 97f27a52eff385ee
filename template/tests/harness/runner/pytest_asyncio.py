"""Tests and fixtures that were written for pytest-asyncio run by AnyIO's plugin, on the one event loop of the run.

pytest-asyncio's own loops, by default one for each test, would lose the connections of the application's engine and the
tasks of its lifespan. The plugin stays installed; its hooks are removed. Marks and fixtures of it need no change, and
`loop_scope` has no effect. With `-p no:anyio`, pytest-asyncio runs them, and the guards of async code see nothing.
"""

from inspect import isasyncgenfunction, iscoroutinefunction
from types import ModuleType

import pytest

from ..core.anyio_backend import fixture_definitions
from ..core.source_lines import HARNESS

IS_REPLACED = pytest.StashKey[bool]()

# Before the fixtures of the project: the loop must stay open for those that return and do not yield.
FIRST = ("anyio_backend", "_event_loop_held")


def configure(config: pytest.Config) -> None:
    plugins = config.pluginmanager
    plugin = plugins.get_plugin("asyncio") if plugins.has_plugin("anyio") else None
    config.stash[IS_REPLACED] = plugin is not None
    if plugin is None:
        return
    plugins.unregister(plugin)
    # Its fixtures stay, e.g. `unused_tcp_port`.
    without_hooks = ModuleType("pytest_asyncio_fixtures")
    vars(without_hooks).update((name, value) for name, value in vars(plugin).items() if name[:7] != "pytest_")
    plugins.register(without_hooks)
    config.option.anyio_mode = "auto"


def is_replaced(config: pytest.Config) -> bool:
    """Whether AnyIO's plugin runs the tests of pytest-asyncio."""
    return config.stash[IS_REPLACED]


def run_by_anyio(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let AnyIO's plugin set up async fixtures of synchronous tests too: of these, and of the harness's checks."""
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        # A synchronous test may request an async fixture in its body.
        if is_replaced(config) or (item.path.is_relative_to(HARNESS) and _is_async(item)):
            others = [name for name in item.fixturenames if name not in FIRST]
            item.fixturenames[:] = [*FIRST, *others]


def _is_async(item: pytest.Function) -> bool:
    fixtures = (found[-1].func for found in fixture_definitions(item).values())
    return any(iscoroutinefunction(each) or isasyncgenfunction(each) for each in (item.obj, *fixtures))
