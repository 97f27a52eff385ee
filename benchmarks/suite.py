"""The default project's own suite, from the start of Python to its end, warm, against importing what it imports.

What it imports is what is loaded at its end, but for its own tests and harness: a process that does nothing else.
"""

import json
import time
from functools import partial

from benchmarks.project import Projects, Runner
from benchmarks.samples import Sample, in_turn

IMPORTS = """\
from contextlib import suppress
from importlib import import_module

for name in {names!r}:
    with suppress(Exception):
        import_module(name)
"""

OWN = {"tests", "stopwatch", "__main__"}


def measure(projects: Projects, rounds: int) -> dict[str, Sample]:
    """Seconds, of the "suite" and of its "imports"."""
    runner = projects.default()
    loaded = runner.folder / "loaded.json"
    # Also makes the rest of it warm: bytecode, and the cluster that is kept.
    runner.run_python("-m", "pytest", "-p", "stopwatch", STOPWATCH=str(loaded))
    names = [name for name in json.loads(loaded.read_text())["modules"] if name.partition(".")[0] not in OWN]
    (runner.folder / "imports.py").write_text(IMPORTS.format(names=names))
    return in_turn(
        rounds,
        {"suite": partial(_run, runner, "-m", "pytest", "-q"), "imports": partial(_run, runner, "imports.py")},
    )


def _run(runner: Runner, *arguments: str) -> float:
    begun = time.perf_counter()
    runner.run_python(*arguments)
    return time.perf_counter() - begun
