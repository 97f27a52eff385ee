"""Private attributes of other libraries that the harness uses; checked at the start of a run.

If an installed version lacks one, the run stops with its name and version. Otherwise a guard would detect nothing, and
no test would fail.
"""

import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pytest

from .project import shown
from .source_lines import HARNESS

# By module: attributes of the module, of its classes, and those that `__init__` or a function sets.
USES: dict[str, tuple[str, ...]] = {
    "_pytest.fixtures": ("FixtureDef._scope", "FixtureRequest._fixture_defs", "get_scope_node"),
    "_pytest.outcomes": ("OutcomeException",),
    "_pytest.python": ("Function._fixtureinfo", "Function._initrequest"),
    "_pytest.runner": ("SetupState.stack", "SetupState.teardown_exact", "pytest_sessionstart._setupstate"),
    "anyio._backends._asyncio": (
        "TestRunner._call_in_runner_task",
        "TestRunner._exceptions",
        "TestRunner._runner_task",
    ),
    "asyncio": ("Task._log_traceback", "_get_running_loop"),
    "asyncpg": ("Connection._params",),
    "asyncpg.connresource": ("ConnectionResource._connection",),
    "asyncpg.pool": ("Pool._acquire",),
    "functools": ("_lru_cache_wrapper",),
    "httpx": ("ASGITransport.app", "AsyncClient._transport"),
    "httpx2": ("ASGITransport.app", "AsyncClient._transport"),
    "os": ("_exit",),
    "psycopg": ("Cursor._conn",),
    "sqlalchemy.connectors.asyncio": ("AsyncAdapt_dbapi_connection._execute_mutex",),
    "sqlalchemy.orm.session": ("Session._trans_context_manager", "_sessions"),
    "starlette.testclient": (
        "TestClient.lifespan",
        "_TestClientTransport.app",
        "_TestClientTransport.handle_request",
    ),
    "sys": ("_current_frames", "_getframe"),
}


def configure(config: pytest.Config) -> None:
    """Raise `pytest.UsageError` if an imported library lacks one of the attributes."""
    check(config, *USES)


def check(config: pytest.Config, *modules: str) -> None:
    """The same for some modules, before the harness has replaced any of their attributes."""
    missing = [
        f"{module}.{path}, which {_distribution(module)} does not have"
        for module in modules
        if module in sys.modules
        for path in USES[module]
        if not _exists(sys.modules[module], path)
    ]
    if missing:
        raise pytest.UsageError(
            f"{shown(HARNESS, config)} uses {'; '.join(missing)}. Update the harness (copier update), or install an "
            "older version."
        )


def _exists(owner: Any, path: str) -> bool:
    name, _, attribute = path.partition(".")
    found = getattr(owner, name, None)
    if found is None or not attribute:
        return found is not None
    function: Any = vars(found).get("__init__") if isinstance(found, type) else found
    # A class written in C has no code object.
    names = getattr(getattr(function, "__code__", None), "co_names", ())
    return hasattr(found, attribute) or attribute in names


def _distribution(module: str) -> str:
    name = "pytest" if module.startswith("_pytest") else module.partition(".")[0]
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"Python {sys.version.partition(' ')[0]}"
