"""What the harness's checks take in a project with many tables or with many revisions: the whole process.

Cold, nothing is cached: all migrations run for the template database, too.
"""

import time
from functools import partial
from pathlib import Path

from benchmarks.cache import HOW, cold_and_warm
from benchmarks.project import PLAIN, WITHOUT_COMPETITORS, Projects, Runner
from benchmarks.samples import Sample, in_turn

# Tables and revisions. Of 2,000 tables, a hundred are made by a revision, and the last revision adds a column.
SIZES = ((30, 2), (30, 1000), (2000, 22))
QUICK_SIZES = ((30, 2), (150, 4))


def measure(projects: Projects, sizes: tuple[tuple[int, int], ...], rounds: int) -> dict[tuple[str, int, int], Sample]:
    """Seconds, by "cold" or "warm", number of tables, and number of revisions."""
    runs = {}
    for tables, revisions in sizes:
        name = f"checks-{tables}-{revisions}"
        runner = projects.with_tables(name, revisions=revisions, table_count=tables)
        for how, run in zip(HOW, cold_and_warm(partial(_run, runner), projects.folder / "caches" / name), strict=True):
            runs[how, tables, revisions] = run
    return in_turn(rounds, runs)


def _run(runner: Runner, cache: Path) -> float:
    arguments = ["-m", "pytest", "-q", "--postgres", "local", "tests/harness/checks", *PLAIN, *WITHOUT_COMPETITORS]
    begun = time.perf_counter()
    runner.run_python(*arguments, XDG_CACHE_HOME=str(cache))
    return time.perf_counter() - begun
