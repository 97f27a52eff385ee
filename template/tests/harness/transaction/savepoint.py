"""One savepoint of the shared connection, and what happened in it."""

from dataclasses import dataclass

from .logical_connection import LogicalConnection


@dataclass(eq=False)
class Savepoint:
    """An open savepoint.

    Attributes:
        owner: the connection whose transaction it represents.
        has_written: whether a statement may have written rows.
        has_called: whether a statement has called a function, which may have written rows.
        is_committed: whether its owner has committed while savepoints above it are open.
        contains_commit: whether another transaction inside it has committed.
        is_nested: whether its owner created it, by `begin_nested()`, inside the one below.
    """

    name: str
    owner: LogicalConnection
    has_written: bool = False
    has_called: bool = False
    is_committed: bool = False
    contains_commit: bool = False
    is_nested: bool = False

    @property
    def is_needed(self) -> bool:
        """Whether its owner may still roll back to it."""
        return not self.is_committed and (self.has_written or self.owner.nested > 0 or self.owner.has_failed)
