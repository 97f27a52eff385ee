"""The savepoints that stand for transactions on one connection, in the order in which they were made.

Savepoints nest, and transactions of several connections need not. So a transaction that has only read gives its
savepoint back as soon as another one begins; one that commits out of order is released when those above it are; and a
rollback that would take along what another transaction has written is refused.
"""

from dataclasses import dataclass, field

from .members import Member
from .refusals import AT_ONCE, TOOK_ALONG


@dataclass(eq=False)
class Savepoint:
    """One that is open.

    Attributes:
        owner: whose transaction it stands for.
        has_written: whether a statement in it may have written something.
        is_done: whether its owner has committed, and savepoints above it are still open.
        holds_another: whether another transaction has committed into it.
    """

    name: str
    owner: Member
    has_written: bool = False
    is_done: bool = False
    holds_another: bool = False

    @property
    def is_held(self) -> bool:
        """Whether its owner may still want to go back to it."""
        return not self.is_done and (self.has_written or self.owner.nested > 0 or self.owner.has_failed)


@dataclass
class Savepoints:
    """Those of one connection. What a method returns is to be sent; what it takes off the list, is off already."""

    open: list[Savepoint] = field(default_factory=list)
    _count: int = 0

    @property
    def top(self) -> Savepoint | None:
        """The last that was made."""
        return self.open[-1] if self.open else None

    def is_on_top(self, member: Member) -> bool:
        """Whether what is sent now would be part of this transaction."""
        return bool(self.open) and self.open[-1].owner is member and not self.open[-1].is_done

    def own(self, member: Member) -> list[Savepoint]:
        """Those of a transaction that goes on, the lowest first."""
        return [point for point in self.open if point.owner is member and not point.is_done]

    def push(self, member: Member) -> str:
        """Make one for this transaction."""
        self._count += 1
        self.open.append(Savepoint(f"savepoint_{self._count}", member))
        return f"SAVEPOINT {self.open[-1].name}"

    def make_room(self, member: Member) -> list[str]:
        """What has to be sent before another transaction's savepoint can be made on top."""
        statements, index = self._undo_failed(member), len(self.open)
        while index and self.open[index - 1].owner is not member and not self.open[index - 1].is_held:
            index -= 1
        released = self.open[index:]
        self._take_off(released)
        return [*statements, *([f"RELEASE SAVEPOINT {released[0].name}"] if released else [])]

    def _undo_failed(self, member: Member) -> list[str]:
        # PostgreSQL refuses every statement until then. The owner will be told so when it sends another.
        if (failed := self._failed(member)) is None:
            return []
        failed.is_broken, failed.nested = True, 0
        while self.top is not None and self.top.owner is failed:
            name = self.open.pop().name
        return [f"ROLLBACK TO SAVEPOINT {name}", f"RELEASE SAVEPOINT {name}"]

    def _failed(self, member: Member) -> Member | None:
        top = self.top
        return top.owner if top is not None and top.owner is not member and top.owner.has_failed else None

    def release(self, member: Member) -> tuple[list[str], list[Savepoint]]:
        """What a transaction's end sends, and the savepoints to be dropped when it was sent."""
        own, index = self.own(member), len(self.open)
        while index and (self.open[index - 1] in own or not self.open[index - 1].is_held):
            index -= 1
        found = self.open[index:]
        # At the bottom of these, those that are in nobody's way stay: they would only have to be made again.
        while found and found[0] not in own and not found[0].is_done:
            del found[0]
        return ([f"RELEASE SAVEPOINT {found[0].name}"] if found else []), found

    def drop(self, member: Member, released: list[Savepoint]) -> None:
        """Take note of that end."""
        for point in self.own(member):
            point.is_done = True
        self._take_off(released)

    def _take_off(self, released: list[Savepoint]) -> None:
        del self.open[len(self.open) - len(released) :]
        # What was committed there is part of the one below now.
        if self.top is not None and any(point.has_written or point.holds_another for point in released):
            self.top.holds_another = True

    def is_alone(self, member: Member) -> bool:
        """Whether nothing of another transaction's would go with this one."""
        own = self.own(member)
        points = self.open[self.open.index(own[0]) :] if own else []
        return bool(own) and not any(point.owner is not member or point.holds_another for point in points)

    def roll_back(self, member: Member) -> list[str]:
        """What undoes a transaction that has written; ask `taken_along` before."""
        [first, *_] = self.own(member)
        del self.open[self.open.index(first) :]
        return [f"ROLLBACK TO SAVEPOINT {first.name}", f"RELEASE SAVEPOINT {first.name}"]

    def taken_along(self, member: Member) -> str | None:
        """What is wrong with rolling a transaction back: what else would go."""
        points = self.open[self.open.index(self.own(member)[0]) :]
        others = [point for point in points if point.owner is not member]
        if any(point.holds_another for point in points) or any(point.is_done and point.has_written for point in others):
            return TOOK_ALONG.format(what="committed")
        return TOOK_ALONG.format(what="written") if any(point.is_held for point in others) else None

    def at_once(self, member: Member) -> str | None:
        """What is wrong with sending something now: another task of the test is in the middle of a transaction."""
        for point in self.open:
            owner = point.owner
            is_apart = owner.root is not member.root and None not in (owner.root, member.root)
            is_of_test = owner.is_of_test or member.is_of_test
            if point.is_held and is_apart and not is_of_test and not (owner.is_of_lifespan or member.is_of_lifespan):
                return AT_ONCE.format(member.name, owner.name)
        # One that has failed is rolled back first.
        failed = self._failed(member)
        return None if failed is None else self.taken_along(failed)

    def blocker(self, member: Member) -> Member | None:
        """Whose end a transaction has to wait for: what the lifespan does is beside the test, and not in it."""
        for point in self.open:
            owner = point.owner
            if not point.is_held or owner is member:
                continue
            if owner.is_of_lifespan != member.is_of_lifespan or (
                owner.is_of_lifespan and owner.task is not member.task
            ):
                return owner
        return None

    def of_lifespan(self) -> Member | None:
        """A transaction of the lifespan's that has written, and goes on."""
        owners = (point.owner for point in self.open if point.is_held)
        return next((owner for owner in owners if owner.is_of_lifespan), None)

    def forget(self) -> None:
        """The outer transaction is over."""
        for point in self.open:
            point.owner.nested, point.owner.has_failed, point.owner.is_broken = 0, False, False
        self.open.clear()
