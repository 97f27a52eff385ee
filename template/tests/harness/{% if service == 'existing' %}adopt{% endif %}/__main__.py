"""Finds what `[tool.savepoint]` has to name, and prints or writes it.

    uv run python -m tests.harness.adopt                           # prints the lines
    uv run --with tomlkit python -m tests.harness.adopt --write    # writes them

What is written already is kept.
"""

import re
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from .dependencies import dependencies, reason_against
from .fixtures import Fixtures
from .imports import bare_imports, hidden_packages
from .service import HARNESS, Service
from .texts import as_list, change, pytest_settings, read, toml

PACKAGE = __package__.rpartition(".")[0]
PROJECT = ("pyproject.toml", "*requirements*.txt", "requirements", "setup.*", "pytest.*", "Pipfile", "alembic.ini")
TESTS, CHECKS = HARNESS.parent, HARNESS / "checks"
PLUGIN = f'pytest_plugins = ["{PACKAGE}"]\n'
PLUGINS = """\
{} has `pytest_plugins` already. Add "{}" to its list."""
SEVERAL = """\
Several applications were found: {}. The first was taken. To test another, change `application`."""
OF_DATABASES = """\
These create a database or its tables, which the harness does from the migrations. Delete these lines of them, or the
whole function if no test requests it. Move what else a fixture sets, such as environment variables."""
SYNCHRONOUS = """\
The engines are synchronous: in a test, they share one connection, one statement at a time. TestClient and the service's
own sessions work as they are. What a fixture with a wider scope than a function writes is in every test until the
fixture ends. A test with several connections at once needs @pytest.mark.own_database."""
HEADERS = """\
Malformed requests are sent by `client`, without a token. To send them with a token, name a fixture that returns
headers: malformed_request_client = "{}"."""
HIDING = """\
These fixtures have the name of one of the harness's. Your tests use yours; the harness does not need its own."""
REPLACING = """\
Rename these fixtures: the harness itself requests a fixture of this name, and would get yours."""
BACKENDS = """\
Delete these fixtures. The harness has the fixture anyio_backend, with one event loop of asyncio for the whole run."""
TRUSTED_HOSTS = """\
The application has TrustedHostMiddleware. Set base_url under [tool.savepoint] to an address that it accepts:
base_url = "http://localhost"."""
WITHOUT_MIGRATIONS = """\
There is no alembic.ini: the schema of the tests is that of the models, and the checks of migrations are skipped."""
BARE_IMPORTS = """\
These lines import modules of {0}/ by their bare names, which works in a folder that is no package. Write
`from {1} import …`, or add "{0}" to pythonpath of pytest."""
TESTPATHS = """\
testpaths of pytest leaves the checks out of a plain run. Add "{}" to it."""
HIDDEN = """\
Python imports these folders as `{0}`, and cannot find them beside {0}/. Add an __init__.py to the folder above each."""
NO_APPLICATION = """\
No application was found: no function returns a FastAPI, and no module has one. Write it into pyproject.toml, and run
this again:

[tool.savepoint]
application = "app.main:app"    # or a function: "app.main:create_app()"
"""
WHERE = """\
Run this in the folder of pyproject.toml; if there is none, in that of the requirements or of alembic.ini."""
NO_METADATA = """\
No metadata was found: no env.py has target_metadata, and no module has a declarative base. Write it into
pyproject.toml, and run this again:

[tool.savepoint]
models_metadata = "app.models:Base.metadata"
"""


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
    if arguments not in ([], ["--write"]):
        sys.exit(f"usage: python -m {__package__} [--write]")
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


if __name__ == "__main__":
    main(sys.argv[1:])
