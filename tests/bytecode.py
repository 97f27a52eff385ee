"""Copies of a project with the bytecode of its tests and its harness, which pytest would compile again in each copy.

The bytecode that pytest writes for rewritten assertions names the file that it was compiled from, so it is changed.
"""

import marshal
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from shutil import copytree
from types import CodeType

from tests.environment import Project
from tests.kept_bytecode import moved
from tests.preloaded import run_pytest

# Magic number, flags, and time and size of the source: https://peps.python.org/pep-0552/
HEADER = 16
REWRITTEN = f"*.{sys.implementation.cache_tag}-pytest-*.pyc"


def copy_with_bytecode(project: Project, target: Path, ignore: Callable[[str, list[str]], set[str]]) -> None:
    """Copy a project's folder, with the bytecode for its files that are unchanged in the copy."""
    _compile(project)
    copytree(project.folder, target, ignore=ignore)
    for path in target.rglob(REWRITTEN):
        header, code = _read(project.folder / path.relative_to(target))
        source = path.parents[1] / f"{path.name.partition('.')[0]}.py"
        path.write_bytes(header + marshal.dumps(moved(code, str(source))))


_COMPILED: set[Path] = set()


def _compile(project: Project) -> None:
    if project.folder not in _COMPILED:
        _COMPILED.add(project.folder)
        collected = run_pytest(project, "--collect-only", "-q", "-p", "no:cacheprovider")
        assert collected.returncode == 0, collected.stdout


@cache
def _read(path: Path) -> tuple[bytes, CodeType]:
    data = path.read_bytes()
    code: CodeType = marshal.loads(data[HEADER:])  # noqa: S302 - written by this project's pytest
    return data[:HEADER], code
