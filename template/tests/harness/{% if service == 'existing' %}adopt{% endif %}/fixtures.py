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
Fixture = ast.FunctionDef | ast.AsyncFunctionDef


class Fixtures:
    """The fixtures of a service; those with an underscore are left out."""

    def __init__(self, service: Service) -> None:
        self._root = service.root
        self._own = [(path, node) for path, tree in service.modules for node in _fixtures(tree)]

    def hiding(self) -> Iterator[str]:
        """Those that have the name of one of the harness's: `conftest.py:8: client`."""
        public = {node.name for path in HARNESS.rglob("*.py") for node in _fixtures(ast.parse(path.read_bytes()))}
        for path, node in self._own:
            if node.name in public and node.name != BACKEND and not DATABASE.search(ast.unparse(node)):
                yield self._place(path, node)

    def of_databases(self) -> Iterator[str]:
        """Those that create a database or its tables."""
        return (self._place(path, node) for path, node in self._own if DATABASE.search(ast.unparse(node)))

    def backends(self) -> Iterator[str]:
        """Those named `anyio_backend`."""
        return (self._place(path, node) for path, node in self._own if node.name == BACKEND)

    def headers(self) -> list[str]:
        """The names of those that return the headers of a client."""
        return [node.name for _, node in self._own if node.name.endswith("headers")]

    def _place(self, path: Path, node: Fixture) -> str:
        return f"{path.relative_to(self._root)}:{node.lineno}: {node.name}"


def _fixtures(tree: ast.Module) -> Iterator[Fixture]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            is_fixture = any("fixture" in ast.unparse(decorator) for decorator in node.decorator_list)
            if is_fixture and not node.name.startswith("_"):
                yield node
