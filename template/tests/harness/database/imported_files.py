"""Finds the project's files that modules import, directly or indirectly, without running them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path


def imported_files(folder: Path, root: Path) -> list[Path]:
    """The project's modules that the Python files in `folder` import, sorted; installed packages are ignored.

    The project's modules are those below `root`/src or `root`.
    """
    seen: set[Path] = set()
    to_read = list(folder.glob("*.py"))
    mention = _mention_of_a_module(root)
    while to_read:
        path = to_read.pop()
        text = path.read_bytes()
        # Most revisions import no module of the project. Parsing 200 files takes 0.1 s, searching them 0.01 s.
        for imported in _imports_of(path, text, root) if mention.search(text) else ():
            if imported not in seen:
                seen.add(imported)
                to_read.append(imported)
    return sorted(seen)


def _mention_of_a_module(root: Path) -> re.Pattern[bytes]:
    """A pattern that matches every file that imports a module of the project, by name or relatively."""
    paths = [path for source in (root / "src", root) if source.is_dir() for path in source.iterdir()]
    names = {path.stem for path in paths if path.suffix == ".py" or path.is_dir()}
    return re.compile(rb"from\s+\.|\b(%s)\b" % b"|".join(re.escape(name).encode() for name in sorted(names)))


def _imports_of(path: Path, text: bytes, root: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(text, path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files_of(alias.name, root)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, path, root)
            for name in (base, *(f"{base}.{alias.name}" for alias in node.names)):
                yield from _files_of(name, root)


def _absolute(node: ast.ImportFrom, path: Path, root: Path) -> str:
    if not node.level:
        return node.module or ""
    package = path.parents[node.level - 1]
    source = root / "src" if package.is_relative_to(root / "src") else root
    return ".".join([*package.relative_to(source).parts, *filter(None, [node.module])])


def _files_of(name: str, root: Path) -> Iterator[Path]:
    """The file of a dotted name, and the `__init__.py` of each package above it, which the import runs too."""
    parts = name.split(".")
    for source in (root / "src", root):
        if not (source / parts[0]).is_dir() and not (source / f"{parts[0]}.py").is_file():
            continue
        for depth in range(1, len(parts) + 1):
            below = source.joinpath(*parts[:depth])
            yield from (file for file in (below.with_suffix(".py"), below / "__init__.py") if file.is_file())
        return
