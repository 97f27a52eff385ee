"""Copier without what it does again for each render and each file.

Copier compiles each path and each file of the template for each render, most of a render's CPU time, computes what
they may name for each part of each path, and asks git about each file that it writes. An update renders three times.
`COPIER` is the command.
"""

import hashlib
import marshal
import os
import re
import runpy
import sys
from pathlib import Path
from types import CodeType
from typing import Any
from unittest.mock import patch

import jinja2
from copier._main import Worker

COPIER = [sys.executable, __file__]

# pytest's folder for what it keeps between runs; git ignores it.
_KEPT = Path(__file__).parents[1] / ".pytest_cache" / "compiled templates"

# What decides how a text is compiled, besides Python and Jinja.
_SYNTAX = [
    *("block_start_string", "block_end_string", "variable_start_string", "variable_end_string"),
    *("comment_start_string", "comment_end_string", "line_statement_prefix", "line_comment_prefix"),
    *("trim_blocks", "lstrip_blocks", "newline_sequence", "keep_trailing_newline", "optimized", "is_async"),
]

_compile = jinja2.Environment.compile
_render_template = Worker._render_template
_render_string = Worker._render_string
_compiled: dict[str, CodeType] = {}


def enable() -> None:
    """Compile each text once, and leave the modes of files in git's index to git, which reads them from the files."""
    jinja2.Environment.compile = _compile_once  # type: ignore[assignment, method-assign]
    Worker._render_template = _render_with_one_context  # type: ignore[method-assign]
    from tests import quick_clones  # a script finds it only now

    quick_clones.enable()
    # Copier calls it for the sake of `core.fileMode = false`.
    assert callable(Worker._sync_git_index_executable_bit)
    Worker._sync_git_index_executable_bit = lambda *_: None  # type: ignore[method-assign]


def _compile_once(
    self: jinja2.Environment, source: Any, name: str | None = None, filename: str | None = None, **options: Any
) -> Any:
    """`Environment.compile`: once, whichever environment with the same syntax asks for it.

    The same text has another `filename` in each clone of the template; it is in no message of Copier's.
    """
    if options or not isinstance(source, str):
        return _compile(self, source, name, filename, **options)
    syntax = [getattr(self, setting) for setting in _SYNTAX]
    versions = sys.implementation.cache_tag, jinja2.__version__
    what = repr((versions, syntax, sorted(self.extensions), self.undefined.__qualname__, source, name))
    key = hashlib.sha256(what.encode()).hexdigest()
    if key not in _compiled:
        _compiled[key] = _load(key) or _store(key, _compile(self, source, name, filename))
    return _compiled[key]


def _render_with_one_context(self: Worker) -> None:
    """`Worker._render_template`, during which no answer changes."""
    context, answers_relpath = self._render_context(), self.answers_relpath
    with (
        patch.object(Worker, "_render_context", lambda _: context),
        patch.object(Worker, "answers_relpath", answers_relpath),
        patch.object(Worker, "_render_string", _render_if_needed),
    ):
        _render_template(self)


def _render_if_needed(self: Worker, string: str, extra_context: dict[str, Any] | None = None) -> str:
    return string if re.fullmatch(r"[\w.-]+", string) else _render_string(self, string, extra_context)


def _load(key: str) -> CodeType | None:
    try:
        code: CodeType = marshal.loads((_KEPT / key).read_bytes())  # noqa: S302 - written by `_store`
    except FileNotFoundError:
        return None
    return code


def _store(key: str, code: CodeType) -> CodeType:
    _KEPT.mkdir(parents=True, exist_ok=True)
    # Another process may read it meanwhile.
    partial = _KEPT / f"{key}.{os.getpid()}"
    partial.write_bytes(marshal.dumps(code))
    partial.replace(_KEPT / key)
    return code


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    enable()
    del sys.path[0]
    runpy.run_module("copier", run_name="__main__", alter_sys=True)
