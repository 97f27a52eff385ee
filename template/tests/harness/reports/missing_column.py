"""One line in the summary for all tests that failed because the database lacks a column or a table of a model.

The drift check names the column, but is easily overlooked among many failures.
"""

import pytest
from sqlalchemy.exc import DBAPIError

from ..core.project import run_of_pytest
from ..core.source_lines import HARNESS
from ..transaction.raw_connection import sqlstate

# undefined_column, undefined_table: https://www.postgresql.org/docs/current/errcodes-appendix.html
UNDEFINED = {"42703", "42P01"}
PROPERTY = ("savepoint", "undefined")


def is_missing(error: BaseException) -> bool:
    """Whether a statement has failed because a column or a table does not exist."""
    return isinstance(error, DBAPIError) and sqlstate(error.orig) in UNDEFINED


def mark(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Must be called before the report is created, which copies `user_properties`."""
    if call.excinfo is not None and is_missing(call.excinfo.value):
        # pytest-xdist sends it to the controller with the report.
        item.user_properties.append(PROPERTY)


class Counter:
    """Counts such failures, in the controller of pytest-xdist."""

    count = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.count += report.failed and PROPERTY in map(tuple, report.user_properties)


def configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Counter(), "savepoint_undefined")


def summarize(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Must be called after pytest's list of failed tests, which may be long."""
    counter = config.pluginmanager.get_plugin("savepoint_undefined")
    if counter is not None and counter.count:
        command = run_of_pytest(config, HARNESS / "checks")
        terminalreporter.write_line(
            f"{counter.count} failed because the database has no such column or table. The migrations make the schema; "
            f"if the models say something else, this prints the missing lines: {command}",
            yellow=True,
        )
