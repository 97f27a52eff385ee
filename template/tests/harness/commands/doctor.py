"""`doctor`: what a run uses, what is newer, and what is missing; it starts the server, and changes nothing.

It fails without a server.
"""

import dataclasses
import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import psycopg
import pytest

from .. import __version__
from ..core.network_access import NETWORK_ACCESS
from ..core.settings import FILE, TABLE, Settings, settings_of
from ..database.server import described, find_server
from ..guards.base import GUARDS
from ..postgres.server import NoServerError
from ..versions import OLDEST
from .in_pytest import answer, refuse
from .newer_versions import UnknownVersionsError, numbers, template_of

# What the checks need, and who installs it.
OPTIONAL = {"squawk-cli": "test_new_migrations_are_lock_safe is skipped without it"}


def test_doctor(pytestconfig: pytest.Config) -> None:
    show: Callable[[str], None] = answer
    try:
        with pytestconfig.stash[NETWORK_ACCESS].unchecked():
            server = described(find_server(pytestconfig))
    except (NoServerError, psycopg.Error) as error:
        show, server = refuse, f"None: {error}"
    lines = {
        "Harness": _harness(pytestconfig),
        "Python": [f"{platform.python_version()}, {platform.system()} {platform.machine()}"],
        "Libraries": _libraries(),
        "PostgreSQL": [server],
        "Settings": _settings(settings_of(pytestconfig)),
        "Guards": _guards(pytestconfig),
    }
    width = max(map(len, lines)) + 2
    shown = [
        f"{title if not number else '':<{width}}{line}".rstrip()
        for title, found in lines.items()
        for number, line in enumerate(line for text in found for line in text.splitlines())
    ]
    show("\n".join(shown))


def _harness(config: pytest.Config) -> list[str]:
    try:
        template = template_of(config.rootpath)
    except UnknownVersionsError as error:
        return [__version__, f"Newer versions are unknown: {error}"]
    if not template.versions:
        return [__version__, f"Newer versions are unknown: {template.address} has no tag of a version"]
    newer = [found for found in template.versions if numbers(found) > numbers(__version__)]
    if not newer:
        return [f"{__version__}, the newest of {template.address}"]
    found = f"{__version__}; newer in {template.address}: {', '.join(newer)}"
    return [found, "To update, see Updates in the page of the tests."]


def _libraries() -> list[str]:
    installed = {name: found for name in (*OLDEST, *OPTIONAL) if (found := _installed(name))}
    missing = [f"{name} is not installed: {why}" for name, why in OPTIONAL.items() if name not in installed]
    return [", ".join(f"{name} {found}" for name, found in installed.items()), *missing]


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _settings(settings: Settings) -> list[str]:
    given = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    changed = {
        name: value
        for name, value in given.items()
        if value != next(field.default for field in dataclasses.fields(settings) if field.name == name)
    }
    heading = f"{TABLE} of {FILE}, without defaults:" if changed else "Defaults"
    return [heading, *map(_setting, changed, changed.values())]


def _setting(name: str, value: Any) -> str:
    return f"  {name} = {list(value) if isinstance(value, tuple) else value!r}"


def _guards(config: pytest.Config) -> list[str]:
    off = [name for name, guard in GUARDS.items() if not guard.is_on(config)]
    on = [name for name in GUARDS if name not in off]
    return [", ".join(sorted(on)), *([f"Off: {', '.join(sorted(off))}"] if off else [])]
