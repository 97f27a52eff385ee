"""Settings that are local to a transaction, while several transactions share a connection.

In production, other connections do not have these settings. So they are reset before another transaction sends a
statement, and set again before the next statement of their transaction.
"""

from collections.abc import Collection
from dataclasses import dataclass

from .deferred_constraints import Rows
from .logical_connection import LogicalConnection


@dataclass
class LocalSettings:
    """The local settings on one connection.

    Attributes:
        owner: the connection whose settings are in effect; None before the first setting.
    """

    owner: LogicalConnection | None = None

    async def swap(self, rows: Rows, logical: LogicalConnection) -> list[str]:
        """Statements that replace the settings of another transaction by those of this transaction."""
        other, self.owner = self.owner, logical
        if other is None:
            return []
        for name in other.commit_effects.settings:
            [[other.commit_effects.current[name]]] = await rows(f"SELECT current_setting('{name}', true)")
        return [*other.commit_effects.statements(is_commit=False), *logical.commit_effects.restore()]

    async def record(self, rows: Rows, logical: LogicalConnection, names: Collection[str]) -> None:
        """Save the values of settings before a transaction sets them."""
        if names:
            self.owner = logical
        for name in names:
            if name not in logical.commit_effects.settings:
                [[value]] = await rows(f"SELECT current_setting('{name}', true)")
                logical.commit_effects.settings[name] = value
