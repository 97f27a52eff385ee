"""The targets of the design, each beside the ratio that was measured."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

from benchmarks.long import Held
from benchmarks.samples import Sample

# The size of run that the target of two workers is about.
WORKERS_TARGET = 2000


@dataclass(frozen=True)
class Results:
    """What a run of the benchmark measured, in seconds, but for `long`; empty where nothing was asked for."""

    per_test: dict[str, Sample] = field(default_factory=dict)
    start: dict[tuple[str, int], Sample] = field(default_factory=dict)
    checks: dict[tuple[str, int, int], Sample] = field(default_factory=dict)
    workers: dict[tuple[int, int], Sample] = field(default_factory=dict)
    suite: dict[str, Sample] = field(default_factory=dict)
    long: dict[str, Held] = field(default_factory=dict)

    @property
    def revisions(self) -> list[int]:
        """The numbers of revisions that starts were measured with, fewest first."""
        return sorted({count for _, count in self.start})

    def overhead(self, name: str) -> Sample:
        """Seconds that a contender adds to a test: what it takes beyond the floor of the same round."""
        return self.per_test[name] - self.per_test["none"]


@dataclass(frozen=True)
class Target:
    """A ratio that the design promises.

    Args:
        what: is measured.
        limit: of the ratio.
        measured: the ratio; raises KeyError if its parts were not measured.
        at_least: it may not be less, and otherwise not more.
    """

    what: str
    limit: float
    measured: Callable[[Results], float]
    at_least: bool = False

    def is_met_by(self, ratio: float) -> bool:
        return ratio >= self.limit if self.at_least else ratio <= self.limit


def _per_test(name: str, other: str) -> Callable[[Results], float]:
    return lambda results: (results.per_test[name] / results.per_test[other]).median


def _overhead(name: str, ours_is: str = "savepoint") -> Callable[[Results], float]:
    def ratio(results: Results) -> float:
        # Of medians: in one noisy round the harness's can be nothing, and the ratio of that round endless.
        ours = results.overhead(ours_is).median
        return results.overhead(name).median / ours if ours > 0 else inf

    return ratio


def _warm_to_cold(which: int) -> Callable[[Results], float]:
    def ratio(results: Results) -> float:
        count = _revisions(results, which)
        return (results.start["warm", count] / results.start["cold", count]).median

    return ratio


def _many_to_few(results: Results) -> float:
    return (results.start["warm", _revisions(results, -1)] / results.start["warm", _revisions(results, 0)]).median


def _revisions(results: Results, which: int) -> int:
    if len(results.revisions) < 2:
        raise KeyError("start")
    return results.revisions[which]


TARGETS = [
    Target("a savepoint test, against no isolation", 1.3, _per_test("savepoint", "none")),
    Target(
        "what all guards add to a savepoint test, in milliseconds",
        0.3,
        lambda results: 1000 * (results.per_test["savepoint"] - results.per_test["unguarded"]).median,
    ),
    Target("an own_database test, against a savepoint test", 3, _per_test("own_database", "savepoint")),
    Target("what create_all, drop_all adds, against savepoint", 20, _overhead("create_all"), at_least=True),
    Target("what TRUNCATE adds, against savepoint", 4, _overhead("truncate"), at_least=True),
    # A clone for each test, too.
    Target(
        "what pytest-postgresql adds, against own_database",
        5,
        _overhead("pytest_postgresql", "own_database"),
        at_least=True,
    ),
    Target("a warm start, against a cold one, 2 revisions", 0.25, _warm_to_cold(0)),
    Target("a warm start, against a cold one, 200 revisions", 0.25, _warm_to_cold(-1)),
    # "No more": what is beyond is noise.
    Target("a warm start of 200 revisions, against one of 2", 1.05, _many_to_few),
    Target(
        f"one process, against two workers, {WORKERS_TARGET} tests",
        1.3,
        lambda results: (results.workers[0, WORKERS_TARGET] / results.workers[2, WORKERS_TARGET]).median,
        at_least=True,
    ),
    # "No more", too.
    Target(
        "what a savepoint test leaves in memory, against no isolation",
        1.1,
        lambda results: results.long["savepoint"].growth / results.long["none"].growth,
    ),
    Target(
        "the default suite, against its imports",
        2.5,
        lambda results: (results.suite["suite"] / results.suite["imports"]).median,
    ),
]
