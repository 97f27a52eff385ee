"""Finds what `[tool.savepoint]` has to name, and prints or writes it.

    uv run python -m tests.harness.adopt                           # prints the lines
    uv run --with tomlkit python -m tests.harness.adopt --write    # writes them

What is written already is kept.
"""

import re
import sys
import tomllib
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from .dependencies import dependencies, reason_against
from .fixtures import Fixtures
from .service import HARNESS, Service, is_not_own

PACKAGE = __package__.rpartition(".")[0]
TESTS, CHECKS = HARNESS.parent, HARNESS / "checks"
PLUGIN = f'pytest_plugins = ["{PACKAGE}"]\n'
PLUGINS = """\
{} has `pytest_plugins` already. Add "{}" to its list."""
SEVERAL = """\
Several applications were found: {}. The first was taken. To test another, change `application`."""
OF_DATABASES = """\
These fixtures create a database or its tables, which the harness does from the migrations. Delete these lines of them,
or the whole fixture if no test requests it. Move what else a fixture sets, such as environment variables."""
SYNCHRONOUS = """\
The engines are synchronous: in a test, they share one connection, one statement at a time. TestClient and the service's
own sessions work as they are. What a fixture with a wider scope than a function writes is in every test until the
fixture ends. A test with several connections at once needs @pytest.mark.own_database."""
HEADERS = """\
Malformed requests are sent by `client`, without a token. To send them with a token, name a fixture that returns
headers: malformed_request_client = "{}"."""
HIDING = """\
These fixtures have the name of one of the harness's. Your tests use yours; the harness does not need its own."""
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
NO_METADATA = """\
No metadata was found: no env.py has target_metadata, and no module has a declarative base. Write it into
pyproject.toml, and run this again:

[tool.savepoint]
models_metadata = "app.models:Base.metadata"
"""


def settings(service: Service, written: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are not written yet; ends with a message if the application or the metadata is not found."""
    answers = "".join(path.read_text(encoding="utf-8") for path in service.root.glob(".copier-answers*.yml"))
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
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    table: dict[str, Any] = project.get("tool", {}).get("savepoint", {})
    return table


def leaves_out_checks(root: Path) -> bool:
    """Whether the setting `testpaths` in pyproject.toml names no folder of the checks."""
    pytest = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")).get("tool", {}).get("pytest", {})
    paths = pytest.get("ini_options", pytest).get("testpaths", [])
    folders = paths.split() if isinstance(paths, str) else paths
    return bool(folders) and not any(CHECKS.is_relative_to(root / folder) for folder in folders)


def needs_plugin(root: Path) -> bool:
    """Whether no conftest.py loads the harness."""
    conftests = [path for path in root.rglob("conftest.py") if not any(is_not_own(part) for part in path.parts)]
    return not any(PACKAGE in path.read_text(encoding="utf-8") for path in conftests)


def write(root: Path, lines: dict[str, Any], *, plugin: bool) -> None:
    """Write them; comments and order of the files are kept."""
    try:
        tomlkit: Any = import_module("tomlkit")
    except ModuleNotFoundError:
        sys.exit(f"tomlkit is not installed. Run: uv run --with tomlkit python -m {__package__} --write")
    path = root / "pyproject.toml"
    project = tomlkit.parse(path.read_text(encoding="utf-8"))
    tool = project.setdefault("tool", tomlkit.table(is_super_table=True))
    is_new = "savepoint" not in tool
    tool.setdefault("savepoint", tomlkit.table()).update(lines)
    if is_new:
        # Before the next table.
        tool["savepoint"].add(tomlkit.nl())
    path.write_text(tomlkit.dumps(project).rstrip("\n") + "\n", encoding="utf-8")
    if plugin:
        conftest = root / "conftest.py"
        text = conftest.read_text(encoding="utf-8") if conftest.exists() else ""
        conftest.write_text(text + ("\n" if text and not text.endswith("\n") else "") + PLUGIN, encoding="utf-8")


def shown(value: Any) -> str:
    """A value in TOML."""
    return f'"{value}"' if isinstance(value, str) else str(value)


def main(arguments: list[str]) -> None:
    """Print or write the lines, and print what only the service's owner can decide."""
    root = Path.cwd()
    if arguments not in ([], ["--write"]):
        sys.exit(f"usage: python -m {__package__} [--write]")
    if not (root / "pyproject.toml").is_file():
        sys.exit("Run this in the folder of pyproject.toml.")
    if why := reason_against(dependencies(root)):
        sys.exit(why)
    service = Service(root)
    fixtures = Fixtures(service)
    written = written_settings(root)
    lines, plugin = settings(service, written), needs_plugin(root)
    # A second assignment would take the place of the first.
    has_plugins = plugin and service.assigns(root / "conftest.py", "pytest_plugins")
    plugin = plugin and not has_plugins
    if arguments:
        write(root, lines, plugin=plugin)
    verb = "written" if arguments else "to be written"
    if lines:
        print(f"pyproject.toml, {verb}:\n\n[tool.savepoint]")
        print("".join(f"{key} = {shown(value)}\n" for key, value in lines.items()))
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
        (BARE_IMPORTS.format(TESTS.relative_to(root).as_posix(), PACKAGE.rpartition(".")[0]), service.bare_imports()),
        (HIDDEN.format(TESTS.name), service.hidden_packages()),
    ):
        if places := list(found):
            print("\n".join([heading, *(f"  {place}" for place in places), ""]))


if __name__ == "__main__":
    main(sys.argv[1:])
