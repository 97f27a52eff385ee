"""What was measured, over all rounds: a median and how far the rounds lie apart."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Sample:
    """One value per round, in the order of the rounds, in seconds or without a unit."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def high(self) -> float:
        return max(self.values)

    def with_other(self, other: "Sample", combine: Callable[[float, float], float]) -> "Sample":
        """Round by round, so that what disturbed a round disturbed both sides of it."""
        return Sample(tuple(map(combine, self.values, other.values)))

    def __truediv__(self, other: "Sample") -> "Sample":
        return self.with_other(other, lambda mine, its: mine / its)

    def __sub__(self, other: "Sample") -> "Sample":
        return self.with_other(other, lambda mine, its: mine - its)


def in_turn(rounds: int, runs: Mapping[Name, Callable[[], float]]) -> dict[Name, Sample]:
    """Run all of them in each round, each round beginning with another one."""
    values: dict[Name, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        for name in rotated(runs, number):
            values[name].append(runs[name]())
    return {name: Sample(tuple(found)) for name, found in values.items()}


def rotated(names: Iterable[Name], number: int) -> list[Name]:
    """The names, beginning with another one in each round."""
    listed = list(names)
    start = number % len(listed)
    return listed[start:] + listed[:start]
