"""Finds what `[tool.savepoint]` has to name, and prints or writes it.

    uv run python -m tests.harness.adopt                           # prints the lines
    uv run --with tomlkit python -m tests.harness.adopt --write    # writes them

What is written already is kept.
"""

import re
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

from .dependencies import dependencies, reason_against
from .service import Service

PACKAGE = __package__.rpartition(".")[0]
PLUGIN = f'pytest_plugins = ["{PACKAGE}"]\n'
ASYNCIO = """\
pytest-asyncio is installed. The harness runs async tests by AnyIO's plugin: write @pytest.mark.anyio instead of
@pytest.mark.asyncio, @pytest.fixture instead of @pytest_asyncio.fixture, and "-p", "no:asyncio" in addopts."""
PLUGINS = """\
{} has `pytest_plugins` already. Add "{}" to its list."""
SEVERAL = """\
Several applications were found: {}. The first was taken. To test another, change `application`."""
SYNCHRONOUS = """\
The engines are synchronous: in a test, they share one connection, one statement at a time. TestClient and the service's
own sessions work as they are. What a fixture with a wider scope than a function writes is in every test until the
fixture ends. A test with several connections at once needs @pytest.mark.own_database."""
HEADERS = """\
Malformed requests are sent by `client`, without a token. To send them with a token, name a fixture that returns
headers: malformed_request_client = "{}"."""
HIDING = """\
These fixtures have the name of one of the harness's. They hide it from your tests, and the harness does not need it.
Where one creates an engine or a database, delete it: the application's own engine is redirected."""


def settings(service: Service) -> dict[str, Any]:
    """The settings by what was found; ends with a message if the application or the metadata was not found."""
    answers = "".join(path.read_text(encoding="utf-8") for path in service.root.glob(".copier-answers*.yml"))
    version = re.search(r"^postgres_version: (\d+)$", answers, re.M)
    found: dict[str, Any] = {"postgres_version": int(version[1]) if version else 18}
    applications = service.applications() or sys.exit("No application was found: no file calls FastAPI().")
    found["application"] = applications[0]
    found["models_metadata"] = service.metadata() or sys.exit("No metadata was found: no env.py has target_metadata.")
    if (ini := service.alembic_ini()) not in (None, "alembic.ini"):
        found["alembic_ini"] = ini
    return found


def missing(root: Path, found: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Settings that are not in pyproject.toml, and whether no conftest.py loads the harness."""
    table = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")).get("tool", {}).get("savepoint", {})
    conftests = [path.read_text(encoding="utf-8") for path in root.rglob("conftest.py") if ".venv" not in path.parts]
    lines = {key: value for key, value in found.items() if key not in table}
    return lines, not any(PACKAGE in text for text in conftests)


def write(root: Path, lines: dict[str, Any], *, plugin: bool) -> None:
    """Write them; comments and order of the files are kept."""
    try:
        tomlkit: Any = import_module("tomlkit")
    except ModuleNotFoundError:
        sys.exit(f"tomlkit is not installed. Run: uv run --with tomlkit python -m {__package__} --write")
    path = root / "pyproject.toml"
    project = tomlkit.parse(path.read_text(encoding="utf-8"))
    tool = project.setdefault("tool", tomlkit.table(is_super_table=True))
    tool.setdefault("savepoint", tomlkit.table()).update(lines)
    path.write_text(tomlkit.dumps(project), encoding="utf-8")
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
    names = dependencies(root)
    if why := reason_against(names):
        sys.exit(why)
    service = Service(root)
    lines, plugin = missing(root, settings(service))
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
        if headers := service.headers():
            print(HEADERS.format(headers[0]) + "\n")
    if "pytest-asyncio" in names:
        print(f"{ASYNCIO}\n")
    if hiding := list(service.fixtures()):
        print("\n".join([HIDING, *(f"  {each}" for each in hiding), ""]))


if __name__ == "__main__":
    main(sys.argv[1:])
