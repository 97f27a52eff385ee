"""Guard: a test leaves no context variable changed.

All async tests run in one task. A context variable that the application sets in a request is reset after the request,
as on a server: see `core/requests.py`.
"""

from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from typing import Any

import pytest

from .base import Guard

# Set by the first use of a library or by the harness; they do not affect the next test.
HARMLESS = {"savepoint_tasks", "decimal_context", "current_async_library_cvar", "warnings_context"}

GUARD = Guard(
    "leaked_contextvar",
    why="All async tests share a context: later tests read this value, and pass or fail depending on their order.",
    instead="Pass the return value of set() to reset(), in a `finally` or after the `yield` of a fixture.",
    formerly="context",
)


def restore(item: pytest.Item, before: Context) -> None:
    """Reset what differs from the context `before`, and fail the test if anything does."""
    changed = _changed(before)
    if not changed:
        return
    names = ", ".join(sorted(variable.name for variable in changed))
    for variable in changed:
        # A variable cannot be unset: if it was not set before, it gets its default, which an empty context returns.
        with suppress(LookupError):
            variable.set(before[variable] if variable in before else Context().run(variable.get))
    GUARD.fires(item, f"the test set context variables and did not reset them: {names}.")


def _changed(before: Context) -> set[ContextVar[Any]]:
    return {
        variable
        for variable, value in copy_context().items()
        if (variable not in before or before[variable] is not value) and variable.name not in HARMLESS
    }
