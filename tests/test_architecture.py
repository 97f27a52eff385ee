"""The harness's folders: imports run down, in no circle; one file decides an order; private parts are listed."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pytest

from tests.rendering import Render

# From the bottom up; the files beside them, `plugin.py` first of all, may import each.
FOLDERS = [
    "core",
    "postgres",
    "transaction",
    "connections",
    "app",
    "database",
    "schema",
    "rows",
    "guards",
    "runner",
    "reports",
    "stripe",
    "checks",
    "commands",
]

# A hook that only the part has which stands beside it. Every other hook is called by plugin.py.
HOOKS = {
    "checks/conftest": {"pytest_collection_modifyitems", "pytest_configure"},
    # A plugin that is loaded without the harness.
    "commands/failed_requests": {
        "pytest_configure",
        "pytest_runtest_logreport",
        "pytest_runtest_makereport",
        "pytest_runtest_setup",
        "pytest_terminal_summary",
    },
    "core/findings": {"pytest_testnodedown"},
    "core/run": {"pytest_sessionstart", "pytest_testnodedown"},
    "database/server": {"pytest_configure_node", "pytest_report_header"},
    "database/server_gone": {"pytest_sessionfinish"},
    "guards/slow_test": {"pytest_enter_pdb"},
    "reports/missing_column": {"pytest_runtest_logreport"},
    "reports/query_report": {"pytest_fixture_setup", "pytest_runtest_logreport", "pytest_runtest_makereport"},
    "runner/async_plugin": {"pytest_make_collect_report"},
    "runner/deadline": {"pytest_fixture_post_finalizer"},
    "runner/garbage": {"pytest_collection_finish"},
    "runner/governed_tests": {"pytest_runtest_setup"},
}
HOOKS["reports/query_report"] |= {"pytest_terminal_summary", "pytest_unconfigure"}


@dataclass(frozen=True)
class Harness:
    """The modules of a folder by their names, such as "guards/base", and what each imports of the others."""

    folder: Path
    imports: dict[str, set[str]] = field(default_factory=dict)

    @cached_property
    def trees(self) -> dict[str, ast.Module]:
        paths = {str(path.relative_to(self.folder).with_suffix("")): path for path in self.folder.rglob("*.py")}
        return {name.removesuffix("/__init__"): ast.parse(path.read_text()) for name, path in paths.items()}

    def imports_of(self, name: str) -> set[str]:
        is_package = (self.folder / name / "__init__.py").exists() or name == "__init__"
        package = [part for part in name.split("/") if part != "__init__"][: None if is_package else -1]
        found = set()
        for node in ast.walk(self.trees[name]):
            if isinstance(node, ast.ImportFrom):
                if node.level:
                    base = [*package[: len(package) + 1 - node.level], *(node.module or "").split(".")]
                elif (node.module or "").startswith("tests.harness"):
                    base = (node.module or "").split(".")[2:]
                else:
                    continue
                module = "/".join(filter(None, base))
                inside = {f"{module}/{alias.name}".strip("/") for alias in node.names}
                found |= inside & self.trees.keys() or {module or "__init__"}
        return found

    def hooks(self) -> Iterator[tuple[str, str]]:
        for name, tree in self.trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef) and node.name.startswith("pytest_"):
                    yield name, node.name


@pytest.fixture(scope="session")
def harness(render: Render) -> Harness:
    return Harness(render() / "tests" / "harness")


def test_imports_are_found(harness: Harness) -> None:
    assert "core/run" in harness.imports_of("plugin")
    assert "guards/base" in harness.imports_of("guards/slow_test")
    assert "schema/catalog" in harness.imports_of("checks/test_migrations")
    assert sum(len(harness.imports_of(name)) for name in harness.trees) > 200


def test_every_folder_has_its_place(harness: Harness) -> None:
    assert {name.split("/")[0] for name in harness.trees if "/" in name} == set(FOLDERS)


def test_imports_run_down(harness: Harness) -> None:
    def level(name: str) -> int:
        folder = name.split("/")[0]
        return FOLDERS.index(folder) if folder in FOLDERS else len(FOLDERS)

    upwards = [
        f"{name} imports {imported}"
        for name in harness.trees
        for imported in harness.imports_of(name)
        # Checks and commands are imported by no other part, and after the harness.
        if level(imported) > level(name)
        and not (name.startswith(("checks/", "commands/")) and imported in {"__init__", "modules", "versions"})
    ]
    assert upwards == []


def test_imports_have_no_circle(harness: Harness) -> None:
    left = {name: harness.imports_of(name) for name in harness.trees}
    while free := [name for name, imported in left.items() if not imported & left.keys() - {name}]:
        for name in free:
            del left[name]

    assert left == {}


def test_one_file_decides_the_order_of_hooks(harness: Harness) -> None:
    found: dict[str, set[str]] = {}
    for name, hook in harness.hooks():
        if name != "plugin":
            found.setdefault(name, set()).add(hook)

    assert found == HOOKS


def test_every_module_with_a_fixture_is_listed(harness: Harness) -> None:
    with_fixtures = {
        name
        for name, tree in harness.trees.items()
        if not name.startswith("checks/")
        and any(
            "fixture" in ast.unparse(mark) for node in ast.walk(tree) for mark in getattr(node, "decorator_list", ())
        )
    }
    modules = (harness.folder / "modules.py").read_text()
    listed = {name.replace(".", "/") for name in re.findall(r'"([a-z_]+\.[a-z_]+)"', modules)}

    assert with_fixtures - {"stripe/fixture"} <= listed
    assert {name for name in HOOKS if not name.startswith(("reports/", "checks/", "commands/"))} <= listed


PRIVATE = re.compile(r"_[a-z]\w*")


def test_private_parts_of_libraries_are_listed(harness: Harness) -> None:
    """By name: a private attribute of anything but `self` and `cls` that no module of the harness defines itself."""
    listing = (harness.folder / "core" / "private_api.py").read_text()
    listed = set(re.findall(r"\b_[a-z]\w*", listing))
    own = {
        node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else node.attr
        for tree in harness.trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        or (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    }
    used = {
        f"{name}: {node.attr}"
        for name, tree in harness.trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and PRIVATE.fullmatch(node.attr) and node.attr not in own | listed
    }

    assert used == set()
