"""Finds imports that no longer work once the folder of the tests is a package."""

import ast
from collections.abc import Iterator

from .service import HARNESS, Service


def bare_imports(service: Service) -> Iterator[str]:
    """Imports of modules beside a test by their bare names, which a package does not allow: `tests/test_a.py:3`."""
    tests = HARNESS.parent
    for path, tree in service.modules if tests not in service.pythonpath else ():
        if path.parent != tests:
            continue
        for node in ast.walk(tree):
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            is_relative = isinstance(node, ast.ImportFrom) and node.level > 0
            if not is_relative and any((tests / f"{name.partition('.')[0]}.py").is_file() for name in names):
                yield f"{path.relative_to(service.root)}:{node.lineno}"


def hidden_packages(service: Service) -> Iterator[str]:
    """Folders that Python imports by the name of the folder of the tests, since their parent is no package."""
    tests = HARNESS.parent
    for path, _ in service.modules:
        folder = path.parent
        is_package = path.name == "__init__.py" and (folder.parent / "__init__.py").exists()
        if path.name == "__init__.py" and not is_package and folder.name == tests.name and folder != tests:
            yield folder.relative_to(service.root).as_posix()
