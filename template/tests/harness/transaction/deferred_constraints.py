"""Deferred constraints, which COMMIT checks and RELEASE SAVEPOINT does not."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

DEFERRABLE = """
    SELECT format('%I.%I', nspname, conname), condeferred
    FROM pg_constraint JOIN pg_namespace n ON n.oid = connamespace WHERE condeferrable
"""

Rows = Callable[[str], Awaitable[list[tuple[Any, ...]]]]


@dataclass
class DeferredConstraints:
    """The deferrable constraints of a database, read once for each schema."""

    _found: list[tuple[str, bool]] | None = None

    async def checks(self, rows: Rows, is_stale: bool) -> tuple[list[str], list[str]]:
        """Statements to send before a RELEASE, which fail where COMMIT would fail, and after it.

        Args:
            rows: runs a query.
            is_stale: whether the schema has changed since the last call.
        """
        if self._found is None or is_stale:
            self._found = [(name, is_deferred) for name, is_deferred in await rows(DEFERRABLE)]
        if not self._found:
            return [], []
        deferred = [name for name, is_deferred in self._found if is_deferred]
        again = [f"SET CONSTRAINTS {', '.join(deferred)} DEFERRED"] if deferred else []
        return ["SET CONSTRAINTS ALL IMMEDIATE"], again
