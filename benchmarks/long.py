"""Ten thousand tests in one process: what one takes in the first tenth and in the last, and what the process holds.

Beside the harness stand the floor, and tests that do nothing. What grows there is what pytest keeps: a report for each
phase of each test, and a request for each session fixture that a test's own fixtures depend on.
"""

import json
import shutil
from dataclasses import dataclass

from benchmarks.contenders import NONE, SAVEPOINT
from benchmarks.project import CONTENDERS, PLAIN, WITHOUT_COMPETITORS, Projects

RUNS = {
    SAVEPOINT.name: (SAVEPOINT, "test_sign_up.py"),
    NONE.name: (NONE, "test_sign_up.py"),
    "nothing": (NONE, "test_nothing.py"),
}


@dataclass(frozen=True)
class Held:
    """One run, after the first tenth of its tests and at its end.

    Attributes:
        tests: how many there were.
        seconds: that a test took, in the first tenth and in the last.
        memory: that was resident, in bytes.
        descriptors: of files that were open.
    """

    tests: int
    seconds: tuple[float, float]
    memory: tuple[int, int]
    descriptors: tuple[int, int]

    @property
    def growth(self) -> float:
        """Bytes that a test leaves in memory."""
        return (self.memory[1] - self.memory[0]) / (self.tests - self.tests // 10)


def measure(projects: Projects, url: str, tests: int) -> dict[str, Held]:
    """What runs of so many tests held, by the name of `RUNS`."""
    held = {}
    for name, (contender, file) in RUNS.items():
        runner = projects.with_tables(f"long-{name}", conftest=contender.conftest)
        shutil.copy(CONTENDERS / "test_nothing.py", runner.folder / "tests")
        found = runner.folder / "held.json"
        runner.run_python(
            *("-m", "pytest", "-q", f"tests/{file}", *PLAIN, *WITHOUT_COMPETITORS),
            TEST_DATABASE_URL=url,
            SERVER=url,
            TESTS=str(tests),
            HELD=str(found),
        )
        held[name] = Held(tests, **json.loads(found.read_text()))
    return held
