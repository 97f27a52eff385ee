"""The fixture `anyio_backend` of a test, which a project may override.

The harness's async fixtures need one event loop of asyncio for the whole run.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest


def fixture_definitions(item: pytest.Function) -> Mapping[str, Sequence[pytest.FixtureDef[Any]]]:
    """The fixtures of a test by name; the last definition of a name overrides the others."""
    return item._fixtureinfo.name2fixturedefs


def unsuitable_backend(item: pytest.Item) -> pytest.FixtureDef[Any] | None:
    """The test's fixture `anyio_backend`, if the harness's async fixtures cannot be set up with it; otherwise None."""
    if not isinstance(item, pytest.Function):
        return None
    backends = fixture_definitions(item).get("anyio_backend", ())[-1:]
    return next((found for found in backends if not _is_session_asyncio(found)), None)


def _is_session_asyncio(backend: pytest.FixtureDef[Any]) -> bool:
    return backend.scope == "session" and all(map(_is_asyncio, backend.params or ()))


def _is_asyncio(parameter: Any) -> bool:
    # "asyncio", or with options: ("asyncio", {"use_uvloop": True}).
    return (parameter if isinstance(parameter, str) else parameter[0]) == "asyncio"
