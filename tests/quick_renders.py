"""Copier in this process, without what it does again for each render and each file.

Copier compiles each path and each file of the template for each render, most of a render's CPU time, and asks git about
each file that it writes. An update renders three times.
"""

from types import CodeType
from typing import Any

import jinja2
from copier._main import Worker
from jinja2.lexer import get_lexer

_compile = jinja2.Environment.compile
_compiled: dict[tuple[object, ...], CodeType] = {}


def enable() -> None:
    """Compile each text once, and leave the modes of files in git's index to git, which reads them from the files."""
    jinja2.Environment.compile = _compile_once  # type: ignore[assignment, method-assign]
    # Copier calls it for the sake of `core.fileMode = false`.
    assert callable(Worker._sync_git_index_executable_bit)
    Worker._sync_git_index_executable_bit = lambda *_: None  # type: ignore[method-assign]


def _compile_once(
    self: jinja2.Environment, source: Any, name: str | None = None, filename: str | None = None, **options: Any
) -> Any:
    """`Environment.compile`: once, whichever environment with the same syntax asks for it."""
    if options or not isinstance(source, str):
        return _compile(self, source, name, filename, **options)
    # Jinja has one lexer for each syntax.
    key = (get_lexer(self), *sorted(self.extensions), self.undefined, source, name, filename)
    if key not in _compiled:
        _compiled[key] = _compile(self, source, name, filename)
    return _compiled[key]
