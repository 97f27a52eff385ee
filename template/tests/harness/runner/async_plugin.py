"""AnyIO runs async tests on one event loop; what would have no effect, or no loop, is refused by line.

Marks, fixtures and settings of pytest-asyncio are refused if it is not installed, or disabled by `-p no:asyncio`;
otherwise see `pytest_asyncio`. Another fixture `anyio_backend` would make each test fail with a ScopeMismatch. Nothing
is refused with `-p no:anyio`.
"""

import re
import sys
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ..core.anyio_backend import fixture_definitions, unsuitable_backend
from ..core.run import end_run
from .pytest_asyncio import is_replaced

MARK = "asyncio: of pytest-asyncio, not supported: AnyIO runs async tests without a mark."
INI = ("asyncio_mode", "asyncio_default_fixture_loop_scope", "asyncio_default_test_loop_scope", "asyncio_debug")

# The maximum number of places in a line.
SHOWN = 5

DELETE_MARK = "delete @pytest.mark.asyncio: AnyIO runs every `async def` test without a mark."
DELETE_FIXTURE = "write @pytest.fixture instead of @pytest_asyncio.fixture: AnyIO runs async fixtures."
DELETE_BACKEND = "delete the fixture anyio_backend: the harness defines it, for asyncio and with scope session."
DELETE_INI = "delete {}: AnyIO runs async tests here (anyio_mode), so pytest-asyncio's settings have no effect."

# Files that import pytest-asyncio, which is not installed.
IMPORTING = pytest.StashKey[list[Path]]()


def add_options(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    # Registered, so that this module reports them, and not --strict-config.
    if not pluginmanager.has_plugin("asyncio"):
        for name in INI:
            parser.addini(name, "of pytest-asyncio, not supported", default=None)


def configure(config: pytest.Config) -> None:
    config.stash[IMPORTING] = []
    if not config.pluginmanager.has_plugin("asyncio"):
        # The same for --strict-markers.
        config.addinivalue_line("markers", MARK)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    call: pytest.CallInfo[Any] | None = getattr(report, "call", None)
    cause = call.excinfo.value.__cause__ if call is not None and call.excinfo is not None else None
    if isinstance(cause, ModuleNotFoundError) and cause.name == "pytest_asyncio" and _is_run_by_anyio(collector.config):
        collector.config.stash[IMPORTING].append(collector.path)
        report.outcome, report.longrepr, report.result = "passed", None, []
    return report


def refuse_pytest_asyncio(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Must be called before another plugin deselects tests; raises `pytest.UsageError`."""
    if not _is_run_by_anyio(config) or not (lines := list(_refused(config, items))):
        return
    if not hasattr(config, "workerinput"):
        raise pytest.UsageError("\n".join(lines))
    # In a worker of pytest-xdist, a UsageError would be an internal error.
    items.clear()
    end_run(config, "\n".join(lines))


def _is_run_by_anyio(config: pytest.Config) -> bool:
    return config.pluginmanager.has_plugin("anyio")


def _refused(config: pytest.Config, items: list[pytest.Item]) -> Iterator[str]:
    line = partial(_line, config.rootpath)
    if not is_replaced(config):
        if settings := [name for name in INI if config.getini(name) is not None]:
            ini = config.inipath.name if config.inipath else "pytest's settings"
            yield f"{ini}: {DELETE_INI.format(' and '.join(settings))}"
        yield from line(DELETE_MARK, _marks(items))
        imports = [place for path in config.stash[IMPORTING] for place in _lines_with(r"\bpytest_asyncio\b", path)]
        yield from line(DELETE_FIXTURE, [*_fixtures(items), *imports])
    yield from line(DELETE_BACKEND, _backends(items))


def _line(root: Path, what_to_do: str, found: list[tuple[Path, int]]) -> Iterator[str]:
    places = sorted(set(found))
    if places:
        named = ", ".join(f"{_relative(path, root)}:{number}" for path, number in places[:SHOWN])
        more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
        yield f"{named}{more}: {what_to_do}"


def _relative(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path


def _marks(items: list[pytest.Item]) -> list[tuple[Path, int]]:
    marked = [item for item in items if item.get_closest_marker("asyncio") is not None]
    places = {path: _lines_with(r"\bmark\.asyncio\b", path) for path in {item.path for item in marked}}
    # If another module defines the mark, the line of the test is reported.
    unseen = [(item.path, (item.location[1] or 0) + 1) for item in marked if not places[item.path]]
    return [*unseen, *(place for of_file in places.values() for place in of_file)]


def _lines_with(pattern: str, path: Path) -> list[tuple[Path, int]]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [(path, number) for number, line in enumerate(lines, 1) if re.search(pattern, line.partition("#")[0])]


def _fixtures(items: list[pytest.Item]) -> list[tuple[Path, int]]:
    """The fixtures of the tests that use @pytest_asyncio.fixture."""
    if "pytest_asyncio" not in sys.modules:
        return []
    used = [
        found for item in items if isinstance(item, pytest.Function) for found in fixture_definitions(item).values()
    ]
    functions = {fixture.func for named in used for fixture in named}
    return [_place(function) for function in functions if getattr(function, "_force_asyncio_fixture", False)]


def _backends(items: list[pytest.Item]) -> list[tuple[Path, int]]:
    """The fixtures `anyio_backend` with which the harness's fixtures cannot be set up."""
    with_loop = (item for item in items if "_event_loop_held" in getattr(item, "fixturenames", ()))
    return [_place(backend.func) for item in with_loop if (backend := unsuitable_backend(item)) is not None]


def _place(function: Callable[..., Any]) -> tuple[Path, int]:
    code: Any = getattr(function, "__func__", function)
    return Path(code.__code__.co_filename), code.__code__.co_firstlineno
