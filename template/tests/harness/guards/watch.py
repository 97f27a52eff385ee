"""For a guard that hears of things as they happen: which test runs, and each complaint about it once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..core.source_lines import is_of_project
from .base import Guard


class Watch:
    """The test that a guard looks at now; to be given to `Guard` as `fixtures`."""

    def __init__(self) -> None:
        self._item: pytest.Item | None = None
        self._said: set[str] = set()

    @contextmanager
    def __call__(self, item: pytest.Item) -> Iterator[None]:
        self._item = item
        self._said.clear()
        try:
            yield
        finally:
            self._item = None

    @property
    def is_on(self) -> bool:
        """Whether there is a test to look at."""
        return self._item is not None

    def is_of_project(self, file: str) -> bool:
        """Whether a source file is the project's own."""
        return self._item is not None and is_of_project(Path(file), self._item.config.rootpath)

    def fires(self, guard: Guard, what: str, allow: str) -> None:
        """Fail the test, unless its marks allow this, or this has been said."""
        if self._item is None or allow in (guard.allowed(self._item) or ()) or what in self._said:
            return
        self._said.add(what)
        guard.fires(self._item, what, allow)
