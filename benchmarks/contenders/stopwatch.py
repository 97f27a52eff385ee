"""Loaded into every run: takes times, waits for its turn, and holds the e-mail that all tests sign up with.

From the beginning of one test to that of the next, everything counts: set-up, call, teardown, and pytest between them.

With TURNS, the tests are run in slices. Before each the process says on one pipe how long a test of the last slice
took, and waits on another until it is its turn again. So many contenders can be alive at once, and one of them run.
"""

import json
import os
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest

# After a pause: connections are asleep, and the harness's clones are all made.
WARM_UP = 3


class Turns:
    """Cuts the run into slices of `length` tests.

    Args:
        go: the file descriptor where a byte says that the next slice may begin.
        told: the file descriptor for the lines that say how it went.
    """

    def __init__(self, go: int, told: int, length: int) -> None:
        self._go = go
        self._told = told
        self._length = length
        self._begun: list[float] = []

    def begin_test(self) -> None:
        """Take the time, after having waited for the turn if a slice begins."""
        if len(self._begun) % self._length == 0:
            self.tell()
            os.read(self._go, 1)
        self._begun.append(time.perf_counter())

    def tell(self) -> None:
        """Say how many seconds a test of the last slice took; 0 before the first."""
        seconds = 0.0
        if self._begun:
            # To the beginning of the last test: clones that are dropped in the background are then under way as they
            # were at the first one.
            measured = self._begun[-self._length :][WARM_UP:]
            seconds = (measured[-1] - measured[0]) / (len(measured) - 1)
        os.write(self._told, f"{seconds}\n".encode())


class Holdings:
    """What the process holds after the first tenth of its tests, and at the last, and how long a test takes in each.

    Args:
        path: the file that is written at the end.
        tests: how many there are.
    """

    def __init__(self, path: Path, tests: int) -> None:
        self._path = path
        self._tests = tests
        self._begun: list[float] = []
        self._memory: list[int] = []
        self._descriptors: list[int] = []

    def begin_test(self) -> None:
        """Take the time, and look at the process where a part ends."""
        self._begun.append(time.perf_counter())
        if len(self._begun) in (self._tests // 10, self._tests):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self._memory.append(pages * os.sysconf("SC_PAGE_SIZE"))
            self._descriptors.append(len(list(Path("/proc/self/fd").iterdir())))

    def write(self) -> None:
        """Say what was found."""
        part = self._tests // 10
        seconds = [(times[-1] - times[0]) / (part - 1) for times in (self._begun[:part], self._begun[-part:])]
        found = {"seconds": seconds, "memory": self._memory, "descriptors": self._descriptors}
        self._path.write_text(json.dumps(found))


HELD = Holdings(Path(os.environ["HELD"]), int(os.environ["TESTS"])) if "HELD" in os.environ else None
TURNS = Turns(*map(int, os.environ["TURNS"].split(","))) if "TURNS" in os.environ else None
SETUPS: list[float] = []


@pytest.fixture
def email() -> str:
    """The same one in each test: the second would be answered with 409 if the first were not undone."""
    return "ada@example.com"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logstart() -> None:
    if TURNS is not None:
        TURNS.begin_test()
    if HELD is not None:
        HELD.begin_test()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None]:
    before = time.perf_counter()
    yield
    SETUPS.append(time.perf_counter() - before)


def pytest_unconfigure() -> None:
    if TURNS is not None:
        TURNS.tell()
    if HELD is not None:
        HELD.write()
    if path := os.environ.get("STOPWATCH"):
        Path(path).write_text(json.dumps({"first_setup": SETUPS[0], "modules": list(sys.modules)}))
