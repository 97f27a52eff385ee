"""Settings of the harness: `[tool.savepoint]` of pyproject.toml.

For one run, `-o savepoint_slow_test_seconds=30` overrides the environment variable `SAVEPOINT_SLOW_TEST_SECONDS=30`,
which overrides the setting; both values are TOML. The settings are not in pytest's section, since pytest would fail
with "Unknown config option" in a run that does not load `tests/`.
"""

import difflib
import math
import os
import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from typing import Any

import pytest

from .deprecated import SETTINGS as OLD_SETTINGS
from .deprecated import old_settings
from .run import add_to_summary

FILE, TABLE = "pyproject.toml", "[tool.savepoint]"
PREFIX = "SAVEPOINT_"
UNUSED = "{}: {}: {}: {!r} matches nothing. Delete it, unless another environment needs it."


@dataclass(frozen=True)
class Settings:
    """The settings of a project.

    Attributes:
        application: the FastAPI application, as `shop.main:app` or `shop.main:create_app()`; "": the fixture `app`.
        models_metadata: the models' `MetaData`, as `shop.models:Base.metadata`; "": the fixture `metadata`.
        alembic_ini: the path of alembic.ini in the project.
        source_folders: the folders of the project's own code; by default, `src` or the package of `application`.
        base_url: the address by which clients call the application; "": http://test.
        sql_before_migrations: statements that a new database needs before the first migration.
        application_role: the role of the application in production, as which tests connect; "": the test server's user.
        forward_only: whether the team never downgrades; no check looks at downgrades then.
        restart_sequences: whether each savepoint test starts with the same next values of all sequences.
        governed_tests: files and folders of the tests that the harness governs; by default, all tests.
        postgres_version: the major version of PostgreSQL in production; another version is an error.
        postgres_image: the Docker image, with its tag; "": postgres:<version>.
        postgres_options: settings of a server that the harness starts, as `name=value`.
        disabled_guards: names of guards that are off in all tests.
        public_routes: routes that need no signed-in user, e.g. `GET /health`.
        malformed_request_client: the fixture of the client that sends malformed requests.
        malformed_request_fixtures: fixtures that mock external services during malformed requests.
        ignore_drift: what may differ between models and migrations, as the check names it: `trigger public.users.*`.
        naive_datetime_columns: columns that store timestamps without a time zone, as `table.column`.
        unindexed_foreign_keys: names of foreign keys that need no index.
        unpaginated_routes: paths of lists that need no limit.
        n_plus_one_threshold: the guard n_plus_one fires when a request sends the same SELECT this many times.
        slow_test_seconds: the time that a test may take, without its fixtures.
        test_timeout_seconds: the time after which a test is ended; 0: never; -1: 60 s, or 6 times slow_test_seconds.
        allowed_hosts: addresses that tests may connect to, as `host` or `host:port`.
    """

    application: str = ""
    models_metadata: str = ""
    alembic_ini: str = "alembic.ini"
    source_folders: tuple[str, ...] = ()
    base_url: str = ""
    sql_before_migrations: tuple[str, ...] = ()
    application_role: str = ""
    forward_only: bool = False
    restart_sequences: bool = False
    governed_tests: tuple[str, ...] = ()
    postgres_version: int = 0
    postgres_image: str = ""
    postgres_options: tuple[str, ...] = ()
    disabled_guards: tuple[str, ...] = ()
    public_routes: tuple[str, ...] = ()
    malformed_request_client: str = "client"
    malformed_request_fixtures: tuple[str, ...] = ()
    ignore_drift: tuple[str, ...] = ()
    naive_datetime_columns: tuple[str, ...] = ()
    unindexed_foreign_keys: tuple[str, ...] = ()
    unpaginated_routes: tuple[str, ...] = ()
    n_plus_one_threshold: int = 5
    slow_test_seconds: float = 10
    test_timeout_seconds: float = -1
    allowed_hosts: tuple[str, ...] = ()


SETTINGS = pytest.StashKey[Settings]()
KEYS = {field.name: field.type for field in fields(Settings)}
KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a string",
    tuple[str, ...]: "a list of strings",
}
MINIMUM = {"postgres_version": 1, "n_plus_one_threshold": 2, "slow_test_seconds": 0, "test_timeout_seconds": 0}


def add_options(parser: pytest.Parser) -> None:
    """Register `-o savepoint_<key>=<value>`, which pytest's `--strict-config` would refuse."""
    for key in KEYS:
        parser.addini(f"savepoint_{key}", f"overrides {key} of {TABLE} in {FILE}", default=None)


def configure(config: pytest.Config) -> None:
    """Read and check the settings; raises `pytest.UsageError` that names the key and its place."""
    values = {key: _checked(key, value, place) for key, value, place in _found(config)}
    config.stash[SETTINGS] = Settings(**values)


def _found(config: pytest.Config) -> Iterator[tuple[str, Any, str]]:
    """Key, value and place of each setting; a later value overrides an earlier one."""
    table = _table(config)
    for key, value in table.items():
        yield key, value, f"{FILE}: {TABLE}"
    for key, old in old_settings(config, table).items():
        yield key, _parsed(old) if isinstance(old, str) else old, "pytest's settings"
    for name, text in os.environ.items():
        key = name.removeprefix(PREFIX).lower()
        # Other variables with this prefix are ignored: they may belong to the service.
        if name.startswith(PREFIX) and (key in OLD_SETTINGS or difflib.get_close_matches(key, KEYS, cutoff=0.9)):
            yield key, _parsed(text), name
    for key in KEYS:
        if (text := config.getini(f"savepoint_{key}")) is not None:
            yield key, _parsed(text), "-o"


def _table(config: pytest.Config) -> dict[str, Any]:
    path = config.rootpath / FILE
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("savepoint", {})
    except FileNotFoundError:
        return {}
    if not isinstance(table, dict):
        raise pytest.UsageError(f"{FILE}: {TABLE} must be a table")
    return table


def _parsed(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _checked(key: str, value: Any, place: str) -> Any:
    if key not in KEYS:
        renamed = [OLD_SETTINGS[key][1]] if key in OLD_SETTINGS else []
        close = renamed or difflib.get_close_matches(key, KEYS, 1) or sorted(KEYS)
        raise pytest.UsageError(f"{place}: unknown setting {key!r}. Did you mean {' or '.join(close)}?")
    kind = KEYS[key]
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        value = tuple(value)
    if isinstance(value, int) and not isinstance(value, bool) and kind is float:
        value = float(value)
    expected: Any = tuple if kind == tuple[str, ...] else kind
    if not isinstance(value, expected) or isinstance(value, bool) is not (kind is bool):
        raise pytest.UsageError(f"{place}: {key} must be {KINDS[kind]}, not {value!r}")
    if key in MINIMUM and not MINIMUM[key] <= value < math.inf:
        raise pytest.UsageError(f"{place}: {key} must be at least {MINIMUM[key]}, not {value!r}")
    return value


def report_unused(config: pytest.Config, setting: str, used: Collection[str]) -> None:
    """Add a line to the summary for each entry of a setting with exceptions that matches nothing."""
    unused = [entry for entry in getattr(settings_of(config), setting) if entry not in used]
    add_to_summary(config, "outdated", *(UNUSED.format(FILE, TABLE, setting, entry) for entry in unused))


def settings_of(config: pytest.Config) -> Settings:
    """The settings of this run."""
    return config.stash[SETTINGS]
