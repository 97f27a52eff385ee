"""AnyIO runs the async tests, on one event loop; what belongs to pytest-asyncio is refused, at once and by its place.

Pasted from another project, its mark, its fixtures and its settings would start a second loop, on which no connection
works, or change nothing; and another `anyio_backend` would end each test with a ScopeMismatch. A project that runs its
tests by pytest-asyncio, with `-p no:anyio`, is left alone.
"""

import re
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ..core.run import end_run

MARK = "asyncio: pytest-asyncio's, and refused: AnyIO runs async tests, and they need no mark."
INI = ("asyncio_mode", "asyncio_default_fixture_loop_scope", "asyncio_default_test_loop_scope", "asyncio_debug")

# How many places a line names.
SHOWN = 5

DELETE_MARK = "delete @pytest.mark.asyncio: `async def` is all that an async test needs here, and AnyIO runs it."
DELETE_FIXTURE = "write @pytest.fixture, not @pytest_asyncio.fixture: AnyIO runs async fixtures, and takes no other."
DELETE_BACKEND = (
    "delete the fixture anyio_backend: the harness has it, for asyncio and of scope session, as its fixtures need it."
)
DELETE_MODE = (
    "delete asyncio_mode, and leave pytest-asyncio out: addopts = ['-p', 'no:asyncio']. AnyIO runs async tests here, "
    "and two plugins would each want to."
)
DELETE_INI = "delete {}: AnyIO runs async tests here (anyio_mode), and pytest-asyncio's settings change nothing."

# Files that import pytest-asyncio, which is not installed.
IMPORTING = pytest.StashKey[list[Path]]()


def add_options(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    # Known, so that the line of this module is what is said of them, and not that of --strict-config.
    if not pluginmanager.has_plugin("asyncio"):
        for name in INI:
            parser.addini(name, "pytest-asyncio's, and refused", default=None)


def configure(config: pytest.Config) -> None:
    config.stash[IMPORTING] = []
    if not config.pluginmanager.has_plugin("asyncio"):
        # The same, of --strict-markers.
        config.addinivalue_line("markers", MARK)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    call: pytest.CallInfo[Any] | None = getattr(report, "call", None)
    cause = call.excinfo.value.__cause__ if call is not None and call.excinfo is not None else None
    if isinstance(cause, ModuleNotFoundError) and cause.name == "pytest_asyncio" and _is_ours(collector.config):
        collector.config.stash[IMPORTING].append(collector.path)
        report.outcome, report.longrepr, report.result = "passed", None, []
    return report


def refuse_pytest_asyncio(config: pytest.Config, items: list[pytest.Item]) -> None:
    """To be called before another plugin leaves out tests; raises `pytest.UsageError`."""
    if not _is_ours(config) or not (lines := list(_refused(config, items))):
        return
    if not hasattr(config, "workerinput"):
        raise pytest.UsageError("\n".join(lines))
    # A worker of pytest-xdist: its UsageError would be an internal error of the run.
    items.clear()
    end_run(config, "\n".join(lines))


def _is_ours(config: pytest.Config) -> bool:
    return config.pluginmanager.has_plugin("anyio")


def _refused(config: pytest.Config, items: list[pytest.Item]) -> Iterator[str]:
    ini = config.inipath.name if config.inipath else "pytest's settings"
    if config.pluginmanager.has_plugin("asyncio"):
        if "auto" in (config.getoption("asyncio_mode"), config.getini("asyncio_mode")):
            # It marks every async test.
            yield f"{ini}: {DELETE_MODE}"
            return
    elif settings := [name for name in INI if config.getini(name) is not None]:
        yield f"{ini}: {DELETE_INI.format(' and '.join(settings))}"
    line = partial(_line, config.rootpath)
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
    # A mark that another module made stands in no line of the file: the test does.
    unseen = [(item.path, (item.location[1] or 0) + 1) for item in marked if not places[item.path]]
    return [*unseen, *(place for of_file in places.values() for place in of_file)]


def _lines_with(pattern: str, path: Path) -> list[tuple[Path, int]]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [(path, number) for number, line in enumerate(lines, 1) if re.search(pattern, line.partition("#")[0])]


def _fixtures(items: list[pytest.Item]) -> list[tuple[Path, int]]:
    """The fixtures of the tests that pytest-asyncio has made."""
    if "pytest_asyncio" not in sys.modules:
        return []
    used = [found for item in items if isinstance(item, pytest.Function) for found in _definitions(item).values()]
    functions = {fixture.func for named in used for fixture in named}
    return [_place(function) for function in functions if getattr(function, "_force_asyncio_fixture", False)]


def _definitions(item: pytest.Function) -> Mapping[str, Sequence[pytest.FixtureDef[Any]]]:
    return item._fixtureinfo.name2fixturedefs


def _backends(items: list[pytest.Item]) -> list[tuple[Path, int]]:
    """The fixtures of that name with which a fixture of the harness cannot be set up."""
    found = []
    for item in items:
        if isinstance(item, pytest.Function) and "_event_loop_held" in item.fixturenames:
            backend = _definitions(item)["anyio_backend"][-1]
            of_asyncio = all(_is_asyncio(value) for value in backend.params or ())
            if backend.scope != "session" or not of_asyncio:
                found.append(_place(backend.func))
    return found


def _is_asyncio(parameter: Any) -> bool:
    # "asyncio", or with options of its own: ("asyncio", {"use_uvloop": True}).
    return (parameter if isinstance(parameter, str) else parameter[0]) == "asyncio"


def _place(function: Callable[..., Any]) -> tuple[Path, int]:
    code: Any = getattr(function, "__func__", function)
    return Path(code.__code__.co_filename), code.__code__.co_firstlineno
