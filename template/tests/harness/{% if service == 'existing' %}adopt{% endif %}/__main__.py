"""Finds what `[tool.savepoint]` has to name, and prints or writes it.

    uv run python -m tests.harness.adopt                           # prints the lines
    uv run --with tomlkit python -m tests.harness.adopt --write    # writes them; --check: and runs the checks

What is written already is kept.
"""

import re
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from .dependencies import dependencies, reason_against
from .fixtures import Fixtures
from .imports import bare_imports, hidden_packages
from .messages import (
    BACKENDS,
    BARE_IMPORTS,
    HEADERS,
    HIDDEN,
    HIDING,
    NO_APPLICATION,
    NO_METADATA,
    OF_DATABASES,
    PLUGINS,
    REPLACING,
    SEVERAL,
    SYNCHRONOUS,
    TESTPATHS,
    TRUSTED_HOSTS,
    WHERE,
    WITHOUT_MIGRATIONS,
)
from .service import HARNESS, Service
from .texts import as_list, change, pytest_settings, read, toml

PACKAGE = __package__.rpartition(".")[0]
PROJECT = ("pyproject.toml", "*requirements*.txt", "requirements", "setup.*", "pytest.*", "Pipfile", "alembic.ini")
TESTS, CHECKS = HARNESS.parent, HARNESS / "checks"
PLUGIN = f'pytest_plugins = ["{PACKAGE}"]\n'


def settings(service: Service, written: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are not written yet; ends with a message if the application or the metadata is not found."""
    answers = "".join(read(path) for path in service.root.glob(".copier-answers*.yml"))
    version = re.search(r"^postgres_version: (\d+)$", answers, re.M)
    found: dict[str, Any] = {"postgres_version": int(version[1]) if version else 18}
    if "application" not in written:
        found["application"] = next(iter(service.applications()), None) or sys.exit(NO_APPLICATION)
    if "models_metadata" not in written:
        found["models_metadata"] = service.metadata() or sys.exit(NO_METADATA)
    if (ini := service.alembic_ini()) not in (None, "alembic.ini"):
        found["alembic_ini"] = ini
    return {key: value for key, value in found.items() if key not in written}


def written_settings(root: Path) -> dict[str, Any]:
    """`[tool.savepoint]` of pyproject.toml."""
    table: dict[str, Any] = toml(root / "pyproject.toml").get("tool", {}).get("savepoint", {})
    return table


def is_project(root: Path) -> bool:
    """Whether it is the folder of a service, which may have no pyproject.toml."""
    return any(path for pattern in PROJECT for path in root.glob(pattern))


def leaves_out_checks(root: Path) -> bool:
    """Whether the setting `testpaths` of pytest names no folder of the checks."""
    folders = as_list(pytest_settings(root).get("testpaths"))
    return bool(folders) and not any(CHECKS.is_relative_to(root / folder) for folder in folders)


def write(root: Path, lines: dict[str, Any], *, plugin: bool) -> None:
    """Write them; comments and order of the files are kept."""

    def with_lines(text: str) -> str:
        if not text.strip():
            return table(lines)
        tomlkit = _tomlkit()
        project = tomlkit.parse(text)
        tool = project.setdefault("tool", tomlkit.table(is_super_table=True))
        is_new = "savepoint" not in tool
        tool.setdefault("savepoint", tomlkit.table()).update(lines)
        if is_new:
            # Before the next table.
            tool["savepoint"].add(tomlkit.nl())
        return f"{tomlkit.dumps(project).rstrip(chr(10))}\n"

    if lines:
        change(root / "pyproject.toml", with_lines)
    if plugin:
        change(root / "conftest.py", lambda text: text + ("\n" if text and text[-1] != "\n" else "") + PLUGIN)


def _tomlkit() -> Any:
    try:
        return import_module("tomlkit")
    except ModuleNotFoundError:
        sys.exit(f"tomlkit is not installed. Run: uv run --with tomlkit python -m {__package__} --write")


def table(lines: dict[str, Any]) -> str:
    """The lines of pyproject.toml."""
    return "".join(["[tool.savepoint]\n", *(f"{key} = {shown(value)}\n" for key, value in lines.items())])


def shown(value: Any) -> str:
    """A value in TOML."""
    return f'"{value}"' if isinstance(value, str) else str(value)


def main(arguments: list[str]) -> None:
    """Print or write the lines, and print what only the service's owner can decide."""
    root = Path.cwd()
    if arguments not in ([], ["--write"], ["--write", "--check"]):
        sys.exit(f"usage: python -m {__package__} [--write [--check]]")
    if not is_project(root):
        sys.exit(WHERE)
    if why := reason_against(dependencies(root)):
        sys.exit(why)
    service = Service(root, as_list(pytest_settings(root).get("pythonpath")))
    fixtures = Fixtures(service)
    written = written_settings(root)
    lines, plugin = settings(service, written), not service.loads(PACKAGE)
    # A second assignment would take the place of the first.
    has_plugins = plugin and service.assigns(root / "conftest.py", "pytest_plugins")
    plugin = plugin and not has_plugins
    if arguments:
        write(root, lines, plugin=plugin)
    verb = "written" if arguments else "to be written"
    if lines:
        print(f"pyproject.toml, {verb}:\n\n{table(lines)}")
    if plugin:
        print(f"conftest.py, {verb}:\n\n{PLUGIN}")
    if has_plugins:
        print(PLUGINS.format("conftest.py", PACKAGE) + "\n")
    if not lines and not plugin and not has_plugins:
        print("Nothing is to be written.")
    if "application" in lines and len(applications := service.applications()) > 1:
        print(SEVERAL.format(", ".join(applications)) + "\n")
    if service.is_synchronous():
        print(f"{SYNCHRONOUS}\n")
        if headers := fixtures.headers():
            print(HEADERS.format(headers[0]) + "\n")
    if leaves_out_checks(root):
        print(TESTPATHS.format(CHECKS.relative_to(root).as_posix()) + "\n")
    if service.alembic_ini() is None:
        print(WITHOUT_MIGRATIONS + "\n")
    if service.has_trusted_hosts() and "base_url" not in written:
        print(TRUSTED_HOSTS + "\n")
    for heading, found in (
        (OF_DATABASES, fixtures.of_databases()),
        (BACKENDS, fixtures.backends()),
        (HIDING, fixtures.hiding()),
        (REPLACING, fixtures.replacing()),
        (BARE_IMPORTS.format(TESTS.relative_to(root).as_posix(), PACKAGE.rpartition(".")[0]), bare_imports(service)),
        (HIDDEN.format(TESTS.name), hidden_packages(service)),
    ):
        if places := list(found):
            print("\n".join([heading, *(f"  {place}" for place in places), ""]))
    if "--check" in arguments:
        sys.stdout.flush()
        # As a command, since this process has imported the harness without pytest.
        sys.exit(subprocess.run([sys.executable, "-m", "pytest", CHECKS], check=False).returncode)


if __name__ == "__main__":
    main(sys.argv[1:])
