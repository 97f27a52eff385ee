"""Guard: environment variables are after a test what they were before it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .guards import Guard

# pytest's own, changed as a test goes through its phases.
OF_PYTEST = "PYTEST_CURRENT_TEST"


@contextmanager
def _put_back(item: pytest.Item) -> Iterator[None]:
    before = variables()
    yield
    after = variables()
    if after == before:
        return
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    for name in names:
        if name in before:
            os.environ[name] = before[name]
        else:
            del os.environ[name]
    # Names alone: a value may be a secret.
    GUARD.fires(item, f"the test changed the environment and left it so: {', '.join(names)}.")


def variables() -> dict[str, str]:
    """All but those that pytest changes."""
    found = dict(os.environ)
    found.pop(OF_PYTEST, None)
    return found


GUARD = Guard(
    "environment",
    why="whichever test comes next reads other settings, and passes or fails by the order of tests.",
    instead='monkeypatch.setenv("NAME", "value"), which is undone.',
    fixtures=_put_back,
)
