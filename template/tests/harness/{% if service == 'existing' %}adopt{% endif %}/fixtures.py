"""Finds the fixtures of a service's own tests. None of them is imported."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from .service import HARNESS, Service

BACKEND = "anyio_backend"
# What creates or drops a database or its tables.
DATABASE = re.compile(
    r"\b(create|drop)_(all|database)\b|\b(CREATE|DROP) DATABASE\b|PostgresContainer|command\.(up|down)grade"
)
Function = ast.FunctionDef | ast.AsyncFunctionDef
Fixture = tuple[str, Function]


class Fixtures:
    """The fixtures of a service, and the hooks of its conftest files."""

    def __init__(self, service: Service) -> None:
        self._root = service.root
        self._own = [(path, *fixture) for path, tree in service.modules for fixture in _fixtures(tree)]
        self._hooks = [(path, *hook) for path, tree in service.modules for hook in _hooks(path, tree)]
        self._of_harness = {
            name for path in HARNESS.rglob("*.py") for name, _ in _fixtures(ast.parse(path.read_bytes()))
        }

    def hiding(self) -> Iterator[str]:
        """Those that have the name of a public one of the harness: `conftest.py:8: client`."""
        for path, name, node in self._own:
            if name in self._of_harness and name[0] != "_" and name != BACKEND and not _is_of_database(node):
                yield self._place(path, name, node)

    def replacing(self) -> Iterator[str]:
        """Those that have the name of one which the harness itself requests: `conftest.py:8: _server`."""
        return (self._place(*own) for own in self._own if own[1] in self._of_harness and own[1][0] == "_")

    def of_databases(self) -> Iterator[str]:
        """Those that create a database or its tables, and such hooks."""
        return (self._place(*own) for own in [*self._own, *self._hooks] if _is_of_database(own[2]))

    def backends(self) -> Iterator[str]:
        """Those named `anyio_backend`."""
        return (self._place(*own) for own in self._own if own[1] == BACKEND)

    def headers(self) -> list[str]:
        """The names of those that return the headers of a client."""
        return [name for _, name, _ in self._own if name.endswith("headers") and name[0] != "_"]

    def _place(self, path: Path, name: str, node: Function) -> str:
        return f"{path.relative_to(self._root)}:{node.lineno}: {name}"


def _is_of_database(node: Function) -> bool:
    return bool(DATABASE.search(ast.unparse(node)))


def _fixtures(tree: ast.Module) -> Iterator[Fixture]:
    for node in tree.body:
        if isinstance(node, Function):
            for decorator in node.decorator_list:
                if "fixture" in ast.unparse(decorator):
                    yield _name(decorator) or node.name, node
                    break


def _name(decorator: ast.expr) -> str | None:
    """The name that `@pytest.fixture(name="session")` gives."""
    keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
    names = [keyword.value for keyword in keywords if keyword.arg == "name"]
    return next((str(value.value) for value in names if isinstance(value, ast.Constant)), None)


def _hooks(path: Path, tree: ast.Module) -> Iterator[Fixture]:
    if path.name == "conftest.py":
        for node in tree.body:
            if isinstance(node, Function) and node.name.startswith("pytest_"):
                yield node.name, node
