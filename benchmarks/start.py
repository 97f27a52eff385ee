"""What a session takes to start: the set-up of its first test, from no server to a client.

Cold, nothing is cached: initdb, all migrations, and the cluster is kept. Warm, the migrations have not changed.
"""

import json
import shutil
from functools import partial
from pathlib import Path

from benchmarks.project import PLAIN, WITHOUT_COMPETITORS, Projects, Runner
from benchmarks.samples import Sample, in_turn


def measure(projects: Projects, revisions: tuple[int, ...], rounds: int) -> dict[tuple[str, int], Sample]:
    """Seconds, by "cold" or "warm" and number of revisions."""
    folder = projects.folder / "start"
    folder.mkdir()
    runs = {}
    for count in revisions:
        runner = projects.with_tables(f"revisions-{count}", revisions=count)
        warm = folder / f"warm-{count}"
        # Fills the cache, and compiles the revisions.
        _start(runner, warm)
        runs["cold", count] = partial(_cold, runner, folder / f"cold-{count}")
        runs["warm", count] = partial(_start, runner, warm)
    return in_turn(rounds, runs)


def _cold(runner: Runner, cache: Path) -> float:
    try:
        return _start(runner, cache)
    finally:
        shutil.rmtree(cache)


def _start(runner: Runner, cache: Path) -> float:
    times = runner.folder / "times.json"
    arguments = ["-m", "pytest", "--postgres", "local", "tests/test_sign_up.py", *PLAIN, *WITHOUT_COMPETITORS]
    runner.run_python(*arguments, TESTS="1", STOPWATCH=str(times), XDG_CACHE_HOME=str(cache))
    return float(json.loads(times.read_text())["first_setup"])
