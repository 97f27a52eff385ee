"""Whole runs of savepoint tests, from the start of Python to its end: in one process, and in two workers of xdist.

Each run starts a server of its own, warm, as it does for whoever types `uv run pytest`.
"""

import time
from functools import partial

from benchmarks.project import PLAIN, WITHOUT_COMPETITORS, Projects, Runner
from benchmarks.samples import Sample, in_turn

WORKERS = (0, 2)


def measure(projects: Projects, sizes: tuple[int, ...], rounds: int) -> dict[tuple[int, int], Sample]:
    """Seconds, by number of workers and of tests."""
    runner = projects.with_tables("workers")
    _run(runner, 0, 1)
    return in_turn(
        rounds,
        {(workers, tests): partial(_run, runner, workers, tests) for tests in sizes for workers in WORKERS},
    )


def _run(runner: Runner, workers: int, tests: int) -> float:
    begun = time.perf_counter()
    arguments = ["-m", "pytest", "-q", "--postgres", "local", "-n", str(workers), "tests/test_sign_up.py"]
    runner.run_python(*arguments, *PLAIN, *WITHOUT_COMPETITORS, TESTS=str(tests))
    return time.perf_counter() - begun
