"""Finds the parts of a service in its files. None of them is imported."""

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

HARNESS = Path(__file__).resolve().parents[1]

NOT_OWN = ("venv", "node_modules", "site-packages", "build", "dist")
ASYNCHRONOUS = {"create_async_engine", "async_engine_from_config", "AsyncEngine", "AsyncSession"}
BASES = {"DeclarativeBase", "DeclarativeBaseNoMeta"}
Module = tuple[Path, ast.Module]


class Service:
    """A service's files, parsed.

    Args:
        root: the folder of pyproject.toml.
        pythonpath: folders from which Python imports, besides the root, such as "backend".
    """

    def __init__(self, root: Path, pythonpath: Iterable[str] = ()) -> None:
        self.root = root
        self.pythonpath = sorted((root / folder for folder in pythonpath), key=lambda path: len(path.parts))
        self.modules = list(self._parsed())

    def _parsed(self) -> Iterator[Module]:
        for path in sorted(self.root.rglob("*.py")):
            if HARNESS in path.parents or self._is_not_own(path):
                continue
            try:
                yield path, ast.parse(path.read_bytes())
            except (SyntaxError, ValueError):
                print(f"{path.relative_to(self.root)}: not read: a syntax error", file=sys.stderr)

    def _is_not_own(self, path: Path) -> bool:
        """Whether it is in a folder that has no code of the service, such as a virtual environment."""
        parts = path.relative_to(self.root).parts
        is_environment = (self.root / parts[0] / "pyvenv.cfg").exists()
        return is_environment or any(part[0] == "." or part in NOT_OWN for part in parts)

    def name(self, path: Path) -> str:
        """The dotted name by which a file is imported."""
        folder = [each for each in self.pythonpath if path.is_relative_to(each)] or [self.root]
        parts = list(path.relative_to(folder[-1]).with_suffix("").parts)
        if parts[0] == "src" and not (self.root / "src" / "__init__.py").exists():
            del parts[0]
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def applications(self) -> list[str]:
        """As `app.main:app`, or `app.main:create_app()`; the likeliest first."""
        modules = [(path, tree) for path, tree in self.modules if not _is_of_tests(path)]
        functions = {path: [node for node in tree.body if isinstance(node, ast.FunctionDef)] for path, tree in modules}
        factories = {node.name for found in functions.values() for node in found if _is_factory(node)}
        found = []
        for path, tree in modules:
            name = self.name(path)
            likely = name.rpartition(".")[2] not in ("main", "app", "asgi"), name.count(".")
            for node in tree.body:
                if isinstance(node, ast.Assign | ast.AnnAssign) and _is_application(node, factories):
                    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                    found.append((0, *likely, f"{name}:{ast.unparse(target)}"))
            found += [(1, *likely, f"{name}:{each.name}()") for each in functions[path] if _is_factory(each)]
        # A factory's application is mostly that of a module.
        return [application for rank, *_, application in sorted(found) if rank == min(found)[0]]

    def assigns(self, module: Path, name: str) -> bool:
        """Whether a file assigns a name, in whatever statement."""
        return any(_assigned(tree, name) for path, tree in self.modules if path == module)

    def loads(self, plugin: str) -> bool:
        """Whether a conftest.py has the plugin in `pytest_plugins`."""
        assigned = [
            node
            for path, tree in self.modules
            if path.name == "conftest.py"
            for statement in _assigned(tree, "pytest_plugins")
            for node in ast.walk(statement)
        ]
        return any(isinstance(node, ast.Constant) and node.value == plugin for node in assigned)

    def alembic_ini(self) -> str | None:
        """The path of the alembic.ini that is nearest to the root."""
        found = [path for path in self.root.rglob("alembic.ini") if not self._is_not_own(path)]
        found = [path.relative_to(self.root) for path in found]
        return min(found, key=lambda path: (len(path.parts), path)).as_posix() if found else None

    def metadata(self) -> str | None:
        """As `app.models:Base.metadata`: env.py's `target_metadata`, or else that of the first declarative base."""
        return self._metadata_of_env() or next(self._bases(), None) or self._metadata_of_sqlmodel()

    def _bases(self) -> Iterator[str]:
        for path, tree in self.modules:
            for node in tree.body if not _is_of_tests(path) else ():
                if isinstance(node, ast.ClassDef) and BASES & {_last(base) for base in node.bases}:
                    yield f"{self.name(path)}:{node.name}.metadata"
                elif isinstance(node, ast.Assign) and _calls(node.value, "declarative_base"):
                    yield f"{self.name(path)}:{ast.unparse(node.targets[0])}.metadata"

    def _metadata_of_sqlmodel(self) -> str | None:
        classes = (node for _, tree in self.modules for node in tree.body if isinstance(node, ast.ClassDef))
        is_table = any(keyword.arg == "table" for node in classes for keyword in node.keywords)
        return "sqlmodel:SQLModel.metadata" if is_table else None

    def _metadata_of_env(self) -> str | None:
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
        trees = [tree for path, tree in self.modules if path.name != "env.py" and not _is_of_tests(path)]
        calls = {ast.unparse(node.func) for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)}
        names = {name.rpartition(".")[2] for name in calls}
        return "create_engine" in names and not names & ASYNCHRONOUS

    def has_trusted_hosts(self) -> bool:
        """Whether the application refuses requests to other hosts."""
        names = (node for _, tree in self.modules for node in ast.walk(tree) if isinstance(node, ast.Name))
        return any(node.id == "TrustedHostMiddleware" for node in names)


def _assigned(tree: ast.Module, name: str) -> list[ast.AST]:
    """The statements that assign a name."""
    assignments = [node for node in ast.walk(tree) if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign)]
    return [
        node
        for node in assignments
        if name in {ast.unparse(target) for target in (node.targets if isinstance(node, ast.Assign) else [node.target])}
    ]


def _calls(node: ast.AST | None, name: str) -> bool:
    """Whether an expression is a call of `name` or of `module.name`."""
    return isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name


def _calls_or_names(tree: ast.Module, name: str) -> bool:
    return any(
        isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node).endswith(name) for node in ast.walk(tree)
    )


def _last(node: ast.expr) -> str:
    """The last name of a dotted name."""
    return ast.unparse(node).rpartition(".")[2]


def _is_of_tests(path: Path) -> bool:
    return HARNESS.parent in path.parents or path.name.startswith("test_") or path.name == "conftest.py"


def _is_application(node: ast.Assign | ast.AnnAssign, factories: set[str]) -> bool:
    """`app = FastAPI()`, `app: FastAPI = …`, or `app = create_app()`."""
    annotation = ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else ""
    return _is_fastapi(annotation) or any(_calls(node.value, name) for name in ("FastAPI", *factories))


def _is_factory(function: ast.FunctionDef) -> bool:
    """Whether it can be called without arguments, and returns a FastAPI."""
    arguments = function.args
    required = len(arguments.args) - len(arguments.defaults) + arguments.kw_defaults.count(None)
    returns = ast.unparse(function.returns) if function.returns else ""
    return not required and (_is_fastapi(returns) or any(_calls(node, "FastAPI") for node in ast.walk(function)))


def _is_fastapi(annotation: str) -> bool:
    return annotation.strip("\"'").rpartition(".")[2] == "FastAPI"


def _is_metadata(node: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "target_metadata" for target in node.targets)
