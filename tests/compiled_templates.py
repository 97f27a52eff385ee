"""Jinja's compiled templates, kept for all renders of a process.

Copier compiles each path and each file of the template for each render, most of a render's CPU time; an update renders
three times.
"""

from types import CodeType
from typing import Any

import jinja2
from jinja2.lexer import get_lexer

_compile = jinja2.Environment.compile
_compiled: dict[tuple[object, ...], CodeType] = {}


def keep() -> None:
    """Compile a text once, whichever environment with the same syntax asks for it."""

    def compiled(
        self: jinja2.Environment, source: Any, name: str | None = None, filename: str | None = None, **options: Any
    ) -> Any:
        if options or not isinstance(source, str):
            return _compile(self, source, name, filename, **options)
        # Jinja has one lexer for each syntax.
        key = (get_lexer(self), *sorted(self.extensions), self.undefined, source, name, filename)
        if key not in _compiled:
            _compiled[key] = _compile(self, source, name, filename)
        return _compiled[key]

    jinja2.Environment.compile = compiled  # type: ignore[assignment]
