"""Finds the parts of a service in its files. None of them is imported."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

HARNESS = Path(__file__).resolve().parents[1]

NOT_OWN = ("venv", "node_modules")
ASYNCHRONOUS = {"create_async_engine", "async_engine_from_config", "AsyncEngine", "AsyncSession"}
Module = tuple[Path, ast.Module]


class Service:
    """A service's files, parsed.

    Args:
        root: the folder of pyproject.toml.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.modules = list(self._parsed())

    def _parsed(self) -> Iterator[Module]:
        for path in sorted(self.root.rglob("*.py")):
            parts = path.relative_to(self.root).parts
            if HARNESS in path.parents or any(part[0] == "." or part in NOT_OWN for part in parts):
                continue
            try:
                yield path, ast.parse(path.read_bytes())
            except (SyntaxError, ValueError):
                print(f"{path.relative_to(self.root)}: not read: a syntax error", file=sys.stderr)

    def name(self, path: Path) -> str:
        """The dotted name by which a file is imported."""
        parts = list(path.relative_to(self.root).with_suffix("").parts)
        if parts[0] == "src" and not (self.root / "src" / "__init__.py").exists():
            del parts[0]
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def applications(self) -> list[str]:
        """As `app.main:app`, or `app.main:create_app()`; the likeliest first."""
        found = []
        for path, tree in self.modules:
            if self._is_test(path):
                continue
            name = self.name(path)
            likely = name.rpartition(".")[2] not in ("main", "app", "asgi"), name.count(".")
            for node in tree.body:
                if isinstance(node, ast.Assign | ast.AnnAssign) and _calls(node.value, "FastAPI"):
                    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                    found.append((0, *likely, f"{name}:{ast.unparse(target)}"))
                elif isinstance(node, ast.FunctionDef) and _is_factory(node):
                    found.append((1, *likely, f"{name}:{node.name}()"))
        return [application for *_, application in sorted(found)]

    def assigns(self, module: Path, name: str) -> bool:
        """Whether a file assigns a name."""
        return any(
            isinstance(node, ast.Assign) and name in map(ast.unparse, node.targets)
            for path, tree in self.modules
            if path == module
            for node in tree.body
        )

    def alembic_ini(self) -> str | None:
        """The path of the alembic.ini that is nearest to the root."""
        found = [path.relative_to(self.root) for path in self.root.rglob("alembic.ini")]
        found = [path for path in found if not any(part.startswith(".") for part in path.parts)]
        return min(found, key=lambda path: (len(path.parts), path)).as_posix() if found else None

    def metadata(self) -> str | None:
        """As `app.models:Base.metadata`: what env.py assigns to `target_metadata`, or passes on by that name."""
        for path, tree in self.modules:
            if path.name != "env.py":
                continue
            imported = {
                alias.asname or alias.name: f"{node.module}:{alias.name}"
                for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom) and node.module and not node.level
                for alias in node.names
            }
            nodes = list(ast.walk(tree))
            values = [node.value for node in nodes if isinstance(node, ast.Assign) and _is_metadata(node)]
            values += [node.value for node in nodes if isinstance(node, ast.keyword) and node.arg == "target_metadata"]
            for value in values:
                name, dot, rest = ast.unparse(value).partition(".")
                if name in imported:
                    return imported[name] + dot + rest
        return None

    def is_synchronous(self) -> bool:
        """Whether the service creates synchronous engines, and no asynchronous ones."""
        trees = [tree for path, tree in self.modules if path.name != "env.py" and not self._is_test(path)]
        calls = {ast.unparse(node.func) for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)}
        names = {name.rpartition(".")[2] for name in calls}
        return "create_engine" in names and not names & ASYNCHRONOUS

    def _is_test(self, path: Path) -> bool:
        return HARNESS.parent in path.parents or path.name.startswith("test_") or path.name == "conftest.py"

    def headers(self) -> list[str]:
        """The fixtures that return the headers of a client, by their names."""
        return [name for _, tree in self.modules for name, _ in _fixtures(tree) if name.endswith("headers")]

    def fixtures(self) -> Iterator[str]:
        """The service's fixtures that have the name of one of the harness's: `conftest.py:8: client`."""
        public = {name for path in HARNESS.rglob("*.py") for name, _ in _fixtures(ast.parse(path.read_bytes()))}
        for path, tree in self.modules:
            for name, line in _fixtures(tree):
                if name in public:
                    yield f"{path.relative_to(self.root)}:{line}: {name}"


def _calls(node: ast.AST | None, name: str) -> bool:
    """Whether an expression is a call of `name` or of `module.name`."""
    return isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name


def _is_factory(function: ast.FunctionDef) -> bool:
    arguments = function.args
    required = len(arguments.args) - len(arguments.defaults) + arguments.kw_defaults.count(None)
    return not required and any(_calls(node, "FastAPI") for node in ast.walk(function))


def _is_metadata(node: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "target_metadata" for target in node.targets)


def _fixtures(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            is_fixture = any("fixture" in ast.unparse(decorator) for decorator in node.decorator_list)
            if is_fixture and not node.name.startswith("_"):
                yield node.name, node.lineno
