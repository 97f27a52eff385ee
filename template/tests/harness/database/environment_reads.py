"""Finds the environment variables that Python files read by a name that stands in the code."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

# Parsing a file takes a hundred times as long as searching it.
MENTION = re.compile(rb"environ|getenv")


def environment_reads(files: Iterable[Path]) -> set[str]:
    """The names in `os.environ["NAME"]`, `os.environ.get("NAME")`, `os.getenv("NAME")` and `"NAME" in os.environ`."""
    found: set[str] = set()
    for path in files:
        if path.suffix == ".py" and MENTION.search(text := path.read_bytes()):
            found.update(name for node in ast.walk(ast.parse(text, path)) for name in _names(node))
    return found


def _names(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Subscript(value=environ, slice=ast.Constant(value=str(name))) if _is_environ(environ):
            yield name
        case ast.Compare(left=ast.Constant(value=str(name)), comparators=[environ]) if _is_environ(environ):
            yield name
        case ast.Call(func=ast.Attribute(value=environ), args=[ast.Constant(value=str(name)), *_]):
            if _is_environ(environ) or ast.unparse(node.func) == "os.getenv":
                yield name
        case ast.Call(func=ast.Name(id="getenv"), args=[ast.Constant(value=str(name)), *_]):
            yield name


def _is_environ(node: ast.AST) -> bool:
    return ast.unparse(node) in ("os.environ", "environ")
