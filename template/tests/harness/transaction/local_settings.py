"""Settings that a transaction has made for itself, while several transactions share a connection.

In production another connection does not have them. So they are taken back while another transaction sends something,
and set again when it is this one's turn.
"""

from collections.abc import Collection
from dataclasses import dataclass

from .deferred_constraints import Rows
from .members import Member


@dataclass
class LocalSettings:
    """Those of one connection.

    Attributes:
        owner: whose settings it has; None as long as there were none.
    """

    owner: Member | None = None

    async def swapped(self, rows: Rows, member: Member) -> list[str]:
        """What gives the connection a transaction's own settings instead of another one's."""
        other, self.owner = self.owner, member
        if other is None:
            return []
        for name in other.at_commit.settings:
            [[other.at_commit.own[name]]] = await rows(f"SELECT current_setting('{name}', true)")
        return [*other.at_commit.statements(is_commit=False), *member.at_commit.again()]

    async def note(self, rows: Rows, member: Member, names: Collection[str]) -> None:
        """Remember what settings are, before a transaction sets them."""
        if names:
            self.owner = member
        for name in names:
            if name not in member.at_commit.settings:
                [[value]] = await rows(f"SELECT current_setting('{name}', true)")
                member.at_commit.settings[name] = value
