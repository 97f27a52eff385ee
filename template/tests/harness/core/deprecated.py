"""Names of version 0.3, which work until 1.0. The summary has a line for each use, with the new name."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from .run import add_to_summary

# Settings in pytest's section: the old name, its type, and the new name under [tool.savepoint].
SETTINGS = {
    "postgres_version": ("string", "postgres_version"),
    "guards_off": ("args", "disabled_guards"),
    "odd_requests_by": ("string", "malformed_request_client"),
    "odd_requests_with": ("args", "malformed_request_fixtures"),
    "only_in_migrations": ("linelist", "ignore_drift"),
    "naive_columns": ("args", "naive_datetime_columns"),
    "unbounded_lists": ("args", "unpaginated_routes"),
    "foreign_keys_without_index": ("linelist", "unindexed_foreign_keys"),
    "n_plus_one": ("string", "n_plus_one_threshold"),
    "slow_test_seconds": ("string", "slow_test_seconds"),
    "public_routes": ("linelist", "public_routes"),
    "allowed_hosts": ("args", "allowed_hosts"),
}

# Command-line options.
OPTIONS = {
    "--rebuild-schema": "--create-db",
    "--keep-database": "--keep-failed-databases",
    "--database-report": "--query-report",
}


def add_options(parser: pytest.Parser) -> None:
    """Register the old settings."""
    for name, (kind, new) in SETTINGS.items():
        parser.addini(name, f"deprecated: {new} under [tool.savepoint]", type=kind, default=None)  # type: ignore[arg-type]  # a Literal


def warn(config: pytest.Config, old: str, new: str) -> None:
    """Add a line to the summary, once for each old name: what to write instead."""
    add_to_summary(config, "outdated", f"savepoint: {old} is deprecated and will be removed in 1.0. {new}")


def warn_of_options(config: pytest.Config) -> None:
    """Warn of each old command-line option."""
    for argument in config.invocation_params.args:
        name, equals, value = str(argument).partition("=")
        if name in OPTIONS:
            warn(config, name, f"Write: {OPTIONS[name]}{equals}{value}")


def old_settings(config: pytest.Config, new: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """The values of old settings, by new name; settings that pyproject.toml has under the new name are left out."""
    values: dict[str, str | list[str]] = {}
    for old, (_, key) in SETTINGS.items():
        value = config.getini(old)
        if value is None:
            continue
        where = f"{old} in pytest's settings"
        is_override = any(text.startswith(f"{old}=") for text in config.getoption("override_ini") or ())
        text = value if isinstance(value, str) and value.isdecimal() else json.dumps(value, ensure_ascii=False)
        if is_override:
            values[key] = value
            warn(config, f"-o {old}", f"Write: -o savepoint_{key}={text}")
        elif key in new:
            used = json.dumps(new[key], ensure_ascii=False)
            warn(config, where, f"It is {text}, but {key} under [tool.savepoint] is {used}, and is used. Delete one.")
        else:
            values[key] = value
            warn(config, where, f"Write under [tool.savepoint] of pyproject.toml: {key} = {text}")
    return values


@pytest.fixture(scope="session")
def postgres(postgres_server: Any, pytestconfig: pytest.Config) -> Any:
    """Deprecated: `postgres_server`."""
    return _renamed(pytestconfig, "postgres", "postgres_server", postgres_server)


@pytest.fixture
def empty_database(empty_database_name: str, pytestconfig: pytest.Config) -> Any:
    """Deprecated: `empty_database_name`."""
    return _renamed(pytestconfig, "empty_database", "empty_database_name", empty_database_name)


@pytest.fixture
def until_waiting_for_locks(wait_for_lock_waiters: Any, pytestconfig: pytest.Config) -> Any:
    """Deprecated: `wait_for_lock_waiters`."""
    return _renamed(pytestconfig, "until_waiting_for_locks", "wait_for_lock_waiters", wait_for_lock_waiters)


@pytest.fixture
def with_state(asgi_app: Any, pytestconfig: pytest.Config) -> Any:
    """Deprecated: `asgi_app`."""
    return _renamed(pytestconfig, "with_state", "asgi_app", asgi_app)


@pytest.fixture
def stepped(migration_history: Any, pytestconfig: pytest.Config) -> Any:
    """Deprecated: `migration_history`."""
    return _renamed(pytestconfig, "stepped", "migration_history", migration_history)


def _renamed(config: pytest.Config, old: str, new: str, value: Any) -> Any:
    warn(config, f"fixture {old}", f"Write: {new}")
    return value
