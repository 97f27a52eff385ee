"""`--query-report`: the number of statements of each test and their duration, at the end of the run.

Sorted by the number of statements, which is the same in each run, and then by duration. Statements in the setup of
fixtures with a wider scope, such as migrations, are counted separately. The driver's BEGIN, COMMIT and ROLLBACK are not
counted. pytest-xdist sends the numbers with the reports. Without the option, no hook or listener is registered.
"""

from argparse import ArgumentTypeError
from collections.abc import Callable, Generator, Iterable
from dataclasses import astuple, dataclass
from time import perf_counter

import pytest
from sqlalchemy import Connection, Engine, ExceptionContext, event

from ..database.statements import controls_transaction

PROPERTY = "query_report"
TOP = 20
WIDTH = 100


@dataclass
class Sent:
    """The number of statements, the number of transaction control statements, and the duration of all."""

    statements: int = 0
    transaction: int = 0
    ms: float = 0.0


def number(text: str) -> int:
    """The argument of the option; raises `ArgumentTypeError`."""
    if not text.isdecimal() or int(text) == 0:
        raise ArgumentTypeError(f"{text!r} is not a number of tests. Before a path, write --query-report={TOP}")
    return int(text)


def configure(config: pytest.Config) -> None:
    if top := config.getoption("query_report"):
        config.pluginmanager.register(Meter(), "savepoint_query_meter")
        config.pluginmanager.register(Report(top), "savepoint_query_report")


class Meter:
    """Counts statements, in the process that runs the tests."""

    def __init__(self) -> None:
        self._test = self._current = Sent()
        self._shared = Sent()
        # By execution context: several connections may execute statements at once.
        self._running: dict[object, tuple[Sent, float]] = {}
        self._listeners: list[tuple[str, Callable[..., None]]] = [
            ("before_cursor_execute", self._before),
            ("after_cursor_execute", self._after),
            # Instead of after_cursor_execute, if the statement fails.
            ("handle_error", self._failed),
        ]
        for name, function in self._listeners:
            event.listen(Engine, name, function)

    def pytest_unconfigure(self) -> None:
        for name, function in self._listeners:
            event.remove(Engine, name, function)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Generator[None, object, object]:
        before = self._current
        if fixturedef.scope != "function":
            self._current = self._shared
        try:
            return (yield)
        finally:
            self._current = before

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        if call.when == "teardown":
            item.user_properties.append((PROPERTY, [astuple(self._test), astuple(self._shared)]))
            self._test = self._current = Sent()
            self._shared = Sent()

    def _before(
        self, connection: Connection, cursor: object, sql: str, parameters: object, context: object, executemany: bool
    ) -> None:
        if controls_transaction(sql):
            self._current.transaction += 1
        else:
            self._current.statements += 1
        self._running[context] = self._current, perf_counter()

    def _after(
        self, connection: Connection, cursor: object, sql: str, parameters: object, context: object, executemany: bool
    ) -> None:
        self._stop(context)

    def _failed(self, error: ExceptionContext) -> None:
        self._stop(error.execution_context)

    def _stop(self, context: object) -> None:
        if context in self._running:
            sent, began = self._running.pop(context)
            sent.ms += (perf_counter() - began) * 1000


class Report:
    """Collects the numbers, in the controller of pytest-xdist, and prints the table.

    Args:
        top: the number of tests to print.
    """

    def __init__(self, top: int) -> None:
        self._top = top
        self._tests: dict[str, Sent] = {}
        self._shared: list[Sent] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            for name, value in report.user_properties:
                if name == PROPERTY and isinstance(value, list):
                    test, shared = value
                    self._tests[report.nodeid] = Sent(*test)
                    self._shared.append(Sent(*shared))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        tests = {name: sent for name, sent in self._tests.items() if sent.statements or sent.transaction}
        worst = sorted(tests.items(), key=lambda test: (-test[1].statements, -test[1].ms, test[0]))[: self._top]
        shared = _total(self._shared)
        terminalreporter.write_sep("=", f"query report: {len(worst)} of {len(tests)} tests, most statements first")
        terminalreporter.write_line(f"{'statements':>10}  {'transaction':>11}  {'ms':>9}  test")
        for name, sent in worst:
            terminalreporter.write_line(_line(sent, name))
        terminalreporter.write_line(_line(shared, "(shared fixtures)"))
        terminalreporter.write_line(_line(_total([*tests.values(), shared]), "(total)"))


def _total(parts: Iterable[Sent]) -> Sent:
    return Sent(*map(sum, zip(*map(astuple, parts), strict=True)))


def _line(sent: Sent, name: str) -> str:
    numbers = f"{sent.statements:>10}  {sent.transaction:>11}  {sent.ms:>9.1f}  "
    left = WIDTH - len(numbers)
    # Shortened at the left: tests of one file differ at the end.
    return numbers + (name if len(name) <= left else f"...{name[3 - left :]}")
