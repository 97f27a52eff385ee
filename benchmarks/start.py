"""What a session takes to start: the set-up of its first test, from no server to a client.

Cold, nothing is cached: initdb, all migrations, and the cluster is kept. Warm, the migrations have not changed.
"""

import json
from functools import partial
from pathlib import Path

from benchmarks.cache import HOW, cold_and_warm
from benchmarks.project import PLAIN, WITHOUT_COMPETITORS, Projects, Runner
from benchmarks.samples import Sample, in_turn


def measure(projects: Projects, revisions: tuple[int, ...], rounds: int) -> dict[tuple[str, int], Sample]:
    """Seconds, by "cold" or "warm" and number of revisions."""
    runs = {}
    for count in revisions:
        name = f"revisions-{count}"
        runner = projects.with_tables(name, revisions=count)
        for how, run in zip(
            HOW, cold_and_warm(partial(_start, runner), projects.folder / "caches" / name), strict=True
        ):
            runs[how, count] = run
    return in_turn(rounds, runs)


def _start(runner: Runner, cache: Path) -> float:
    times = runner.folder / "times.json"
    arguments = ["-m", "pytest", "--postgres", "local", "tests/test_sign_up.py", *PLAIN, *WITHOUT_COMPETITORS]
    runner.run_python(*arguments, TESTS="1", STOPWATCH=str(times), XDG_CACHE_HOME=str(cache))
    return float(json.loads(times.read_text())["first_setup"])
