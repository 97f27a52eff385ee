"""The stack of savepoints that represent transactions on one connection.

Savepoints are nested; transactions of several connections need not be. So the savepoint of a transaction that has only
read is released when another transaction begins. The savepoint of a transaction that commits out of order is released
together with those above it. A rollback that would undo the changes of another transaction is refused.
"""

from dataclasses import dataclass, field

from ..core.actor import are_concurrent
from .logical_connection import LogicalConnection
from .refusals import CONCURRENT_TASKS, RELEASE_CONFLICT, ROLLBACK_CONFLICT
from .savepoint import Savepoint


@dataclass
class Savepoints:
    """The savepoints of one connection, the lowest first. Methods return the statements to send."""

    open: list[Savepoint] = field(default_factory=list)
    _count: int = 0

    @property
    def top(self) -> Savepoint | None:
        """The topmost savepoint."""
        return self.open[-1] if self.open else None

    def is_on_top(self, logical: LogicalConnection) -> bool:
        """Whether a statement that is sent now belongs to this transaction."""
        return bool(self.open) and self.open[-1].owner is logical and not self.open[-1].is_committed

    def own(self, logical: LogicalConnection) -> list[Savepoint]:
        """The savepoints of an uncommitted transaction, the lowest first."""
        return [point for point in self.open if point.owner is logical and not point.is_committed]

    def push(self, logical: LogicalConnection) -> str:
        """Create a savepoint for this transaction."""
        self._count += 1
        self.open.append(Savepoint(f"savepoint_{self._count}", logical))
        return f"SAVEPOINT {self.open[-1].name}"

    def nest(self, logical: LogicalConnection, name: str) -> None:
        """Take note of one that the transaction itself makes, inside of its own on top."""
        self.open.append(Savepoint(name, logical, is_nested=True))

    def nested(self, logical: LogicalConnection) -> int:
        """How many of those are open."""
        return sum(point.is_nested for point in self.own(logical))

    def end_nested(self, logical: LogicalConnection, name: str, *, is_rollback: bool) -> str | None:
        """Take it off the list; returns what is wrong with ending it now: what of another transaction would go."""
        found = [i for i, p in enumerate(self.open) if p.is_nested and p.owner is logical and p.name == name]
        if not found:
            return None
        points, below = self.open[found[-1] :], self.open[found[-1] - 1]
        others = [point for point in points if point.owner is not logical]
        contains_commit = any(p.contains_commit for p in points) or any(
            p.is_committed and p.has_written for p in others
        )
        if is_rollback and contains_commit:
            return ROLLBACK_CONFLICT.format(what="committed")
        if any(point.is_needed for point in others):
            return ROLLBACK_CONFLICT.format(what="written") if is_rollback else RELEASE_CONFLICT
        del self.open[found[-1] :]
        below.contains_commit |= contains_commit
        below.has_called |= any(p.has_called for p in points)
        below.has_written |= not is_rollback and any(p.has_written for p in points if p.owner is logical)
        if is_rollback and not name.startswith(("sa_savepoint_", "of_driver_")):
            # SQLAlchemy forgets a savepoint that it has rolled back to, and does not release it.
            self.nest(logical, name)
        return None

    def release_others(self, logical: LogicalConnection) -> list[str]:
        """Remove savepoints of other transactions from the top, as far as they are not needed."""
        statements, index = self._undo_failed(logical), len(self.open)
        while index and self.open[index - 1].owner is not logical and not self.open[index - 1].is_needed:
            index -= 1
        released = self.open[index:]
        self._pop(released)
        return [*statements, *([f"RELEASE SAVEPOINT {released[0].name}"] if released else [])]

    def _undo_failed(self, logical: LogicalConnection) -> list[str]:
        # PostgreSQL refuses every statement until the rollback. The owner gets the error with its next statement.
        if (failed := self._failed(logical)) is None:
            return []
        failed.was_rolled_back, failed.nested = True, 0
        while self.top is not None and self.top.owner is failed:
            name = self.open.pop().name
        return [f"ROLLBACK TO SAVEPOINT {name}", f"RELEASE SAVEPOINT {name}"]

    def _failed(self, logical: LogicalConnection) -> LogicalConnection | None:
        top = self.top
        return top.owner if top is not None and top.owner is not logical and top.owner.has_failed else None

    def release(self, logical: LogicalConnection) -> tuple[list[str], list[Savepoint]]:
        """Statements for the end of a transaction, and the savepoints to drop afterwards."""
        own, index = self.own(logical), len(self.open)
        while index and (self.open[index - 1] in own or not self.open[index - 1].is_needed):
            index -= 1
        found = self.open[index:]
        # Savepoints of other transactions below it stay: they would have to be created again.
        while found and found[0] not in own and not found[0].is_committed:
            del found[0]
        return ([f"RELEASE SAVEPOINT {found[0].name}"] if found else []), found

    def drop(self, logical: LogicalConnection, released: list[Savepoint]) -> None:
        """Remove the released savepoints, and mark the others of this transaction as committed."""
        for point in self.own(logical):
            point.is_committed = True
        self._pop(released)

    def _pop(self, released: list[Savepoint]) -> None:
        del self.open[len(self.open) - len(released) :]
        # Changes that were committed in them now belong to the savepoint below.
        if self.top is not None and any(point.has_written or point.contains_commit for point in released):
            self.top.contains_commit = True

    def is_alone(self, logical: LogicalConnection) -> bool:
        """Whether a rollback of this transaction would undo no changes of another transaction."""
        own = self.own(logical)
        points = self.open[self.open.index(own[0]) :] if own else []
        return bool(own) and not any(point.owner is not logical or point.contains_commit for point in points)

    def roll_back(self, logical: LogicalConnection) -> list[str]:
        """Undo a transaction that has written; check `rollback_conflict` before."""
        [first, *_] = self.own(logical)
        del self.open[self.open.index(first) :]
        return [f"ROLLBACK TO SAVEPOINT {first.name}", f"RELEASE SAVEPOINT {first.name}"]

    def rollback_conflict(self, logical: LogicalConnection) -> str | None:
        """Why a transaction cannot be rolled back: the changes of another transaction would be undone."""
        points = self.open[self.open.index(self.own(logical)[0]) :]
        others = [point for point in points if point.owner is not logical]
        if any(point.contains_commit for point in points) or any(
            point.is_committed and point.has_written for point in others
        ):
            return ROLLBACK_CONFLICT.format(what="committed")
        return ROLLBACK_CONFLICT.format(what="written") if any(point.is_needed for point in others) else None

    def concurrency_conflict(self, logical: LogicalConnection) -> str | None:
        """Why a statement cannot be sent: another task of the test has a transaction with changes."""
        for point in self.open:
            owner = point.owner
            is_other_task = are_concurrent(owner.root, logical.root)
            is_of_test = owner.is_of_test or logical.is_of_test
            if (
                point.is_needed
                and is_other_task
                and not is_of_test
                and not (owner.is_of_lifespan or logical.is_of_lifespan)
            ):
                return CONCURRENT_TASKS.format(logical.name, owner.name)
        # A failed transaction is rolled back before the statement.
        failed = self._failed(logical)
        return None if failed is None else self.rollback_conflict(failed)

    def is_another_writing(self, logical: LogicalConnection) -> bool:
        """Whether another transaction that has written goes on."""
        return any(point.owner is not logical and point.has_written and not point.is_committed for point in self.open)

    def blocker(self, logical: LogicalConnection) -> LogicalConnection | None:
        """The transaction that must end first: transactions of the lifespan and of the test are not nested."""
        for point in self.open:
            owner = point.owner
            if not point.is_needed or owner is logical:
                continue
            if bool(owner.is_of_lifespan) != bool(logical.is_of_lifespan) or (
                owner.is_of_lifespan and owner.task is not logical.task
            ):
                return owner
        return None

    def lifespan_owner(self) -> LogicalConnection | None:
        """A transaction of the lifespan that has written and has not ended."""
        owners = (point.owner for point in self.open if point.is_needed)
        return next((owner for owner in owners if owner.is_of_lifespan), None)

    def reset(self) -> None:
        """Forget all savepoints: the outer transaction has ended."""
        for point in self.open:
            point.owner.nested, point.owner.has_failed, point.owner.was_rolled_back = 0, False, False
        self.open.clear()
