"""What isolating one test costs: all contenders alive at once on one server, and in each round a slice of each.

A test costs what lies between its beginning and that of the next, the mean over a slice, in one process: nothing of
pytest's start, and no difference of two long runs. A round takes seconds, so what else the machine does meets all.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO

from benchmarks.contenders import Contender
from benchmarks.project import PLAIN, WITHOUT_COMPETITORS, Projects, RunFailedError, Runner
from benchmarks.samples import Sample, rotated

# Seconds between two slices: what the last one does in the background is done by then.
PAUSE = 0.05


class Racer:
    """A run of one contender's tests, waiting for its turns."""

    def __init__(self, contender: Contender, runner: Runner, url: str, rounds: int, longest: int) -> None:
        self.name = contender.name
        go, self._go = os.pipe()
        told_by, told = os.pipe()
        self._told: IO[str] = os.fdopen(told_by)
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by `close`
        others = [] if contender.name == "pytest_postgresql" else WITHOUT_COMPETITORS
        length = min(contender.slice, longest)
        # One slice more than rounds: the first sets up the session, and is not counted.
        env = {
            "TEST_DATABASE_URL": url,
            "SERVER": url,
            "TESTS": str(length * (rounds + 1)),
            "TURNS": f"{go},{told},{length}",
        }
        self._process = subprocess.Popen(
            [str(runner.python), "-m", "pytest", "-q", "tests/test_sign_up.py", *PLAIN, *others],
            cwd=runner.folder,
            env={**runner.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            pass_fds=(go, told),
        )
        os.close(go)
        os.close(told)

    def wait(self) -> float:
        """Wait until a slice has ended; seconds per test, and 0 before the first. Raises `RunFailedError`."""
        line = self._told.readline()
        if not line:
            self._process.wait()
            raise RunFailedError(f"{self.name}: {self._said()}")
        return float(line)

    def run(self) -> float:
        """Run a slice: seconds per test."""
        os.write(self._go, b"g")
        return self.wait()

    def finish(self) -> None:
        """Wait for the end; raises `RunFailedError` if one test failed, since times would then mean nothing."""
        if self._process.wait(60) != 0:
            raise RunFailedError(f"{self.name}: {self._said()}")

    def close(self) -> None:
        """End the run, if it has not ended."""
        # Nobody writes to the pipe any more: it runs to its end without waiting, unless it is ended first.
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(60)
        os.close(self._go)
        self._told.close()
        self._output.close()

    def _said(self) -> str:
        self._output.seek(0)
        return self._output.read()


def measure(
    projects: Projects, contenders: Sequence[Contender], url: str, rounds: int, longest: int
) -> dict[str, Sample]:
    """Seconds per test, by contender; no slice has more than `longest` tests."""
    with _racers(projects, contenders, url, rounds, longest) as racers:
        for racer in racers.values():
            racer.run()
        values: dict[str, list[float]] = {name: [] for name in racers}
        for number in range(rounds):
            for name in rotated(racers, number):
                time.sleep(PAUSE)
                values[name].append(racers[name].run())
        for racer in racers.values():
            racer.finish()
    return {name: Sample(tuple(found)) for name, found in values.items()}


@contextmanager
def _racers(
    projects: Projects, contenders: Sequence[Contender], url: str, rounds: int, longest: int
) -> Iterator[dict[str, Racer]]:
    with ExitStack() as stack:
        racers = {}
        for contender in contenders:
            runner = projects.with_tables(
                contender.name, conftest=contender.conftest, root_conftest=contender.root_conftest
            )
            racer = racers[contender.name] = Racer(contender, runner, url, rounds, longest)
            stack.callback(racer.close)
            racer.wait()
        yield racers
