"""`uv run python -m benchmarks`: renders, installs, measures, prints Markdown.

It takes twenty minutes on two cores, and shows on stderr what is done of it; `--quick` says in two minutes
whether it works.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.postgres import local
from harness.postgres.run_folder import RunFolder
from harness.postgres.server import Server

from benchmarks import checks, long, machine, per_test, readme, start, suite, workers
from benchmarks.chart import svg
from benchmarks.contenders import CONTENDERS, NONE
from benchmarks.project import Projects
from benchmarks.report import markdown
from benchmarks.targets import WORKERS_TARGET, Results

PARTS = ["start", "workers", "suite", "long"]

# In a section of its own, and measured if it is asked for: it takes a quarter of an hour.
CHECKS = "checks"
POSTGRES = 18

# Of whole runs of pytest.
LONG_ROUNDS = 5

# Of the checks, which take minutes in a large project.
CHECKS_ROUNDS = 3
# For each of them, rounds of slices, which take a third of a second: many, for a median that holds.
SLICES = 4

# Tests of a long run.
LONG, QUICK_LONG = 10_000, 100

# Tests of one contender in a round, at most.
SLICE, QUICK_SLICE = 100, 8


def main() -> None:
    """Measure what is asked for, print it, and write it where that is asked for."""
    options = _options()
    only = set(options.only or [*(contender.name for contender in CONTENDERS), *PARTS])
    whole = CHECKS_ROUNDS if only == {CHECKS} else LONG_ROUNDS
    long_rounds = options.rounds or (1 if options.quick else whole)
    rounds = long_rounds * (2 if options.quick else SLICES)
    sizes = (50, 200) if options.quick else (100, 1000, WORKERS_TARGET, 3000)
    # Without the floor there is no ratio.
    contenders = [contender for contender in CONTENDERS if contender.name in only]
    contenders = [NONE, *(contender for contender in contenders if contender is not NONE)] if contenders else []
    with tempfile.TemporaryDirectory(prefix="savepoint-benchmarks-") as folder, _server() as server:
        where = machine.described(server, rounds, long_rounds)
        projects = Projects(Path(folder))
        results = Results()
        url = f"postgresql://{server.user}@/postgres?host={server.host}"
        if contenders:
            _say(f"per test: {', '.join(contender.name for contender in contenders)}")
            results.per_test.update(
                per_test.measure(projects, contenders, url, rounds, QUICK_SLICE if options.quick else SLICE)
            )
            _say(markdown(results, where))
        if "start" in only:
            _say("session start")
            results.start.update(start.measure(projects, (2, 200), long_rounds))
        if CHECKS in only:
            sizes_of_checks = checks.QUICK_SIZES if options.quick else checks.SIZES
            _say(f"checks: {', '.join(f'{size[0]} tables, {size[1]} revisions' for size in sizes_of_checks)}")
            results.checks.update(checks.measure(projects, sizes_of_checks, long_rounds))
            _say(markdown(results, where))
        if "suite" in only:
            _say("the default suite")
            results.suite.update(suite.measure(projects, long_rounds))
            _say(markdown(results, where))
        if "workers" in only:
            _say(f"workers: {', '.join(map(str, sizes))} tests")
            results.workers.update(workers.measure(projects, sizes, long_rounds))
        if "long" in only:
            tests = QUICK_LONG if options.quick else LONG
            _say(f"long: {tests} tests")
            results.long.update(long.measure(projects, url, tests))
    table = markdown(results, where)
    print(table)
    if options.write_readme and results.checks:
        readme.write_checks(table)
    elif options.write_readme:
        readme.write(table, svg(results))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description="The harness against other ways to isolate.")
    names = [*(contender.name for contender in CONTENDERS), *PARTS, CHECKS]
    parser.add_argument(
        "--rounds", type=int, help=f"of whole runs, {LONG_ROUNDS} if not said; of slices {SLICES} times as many"
    )
    parser.add_argument(
        "--quick", action="store_true", help="few rounds and small runs: whether it works, not how fast"
    )
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--write-readme", action="store_true", help="rewrite README.md's section and the chart")
    options = parser.parse_args()
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds: at least 1")
    if options.write_readme and (options.quick or options.only not in (None, [CHECKS])):
        parser.error(
            f"--write-readme: the section holds all of it, as measured in a whole run; --only {CHECKS} has its own"
        )
    return options


@contextmanager
def _server() -> Iterator[Server]:
    """A server that the harness starts from local binaries, for all contenders."""
    folder = RunFolder.make()
    try:
        yield local.start(folder, POSTGRES)
    finally:
        folder.close()


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
