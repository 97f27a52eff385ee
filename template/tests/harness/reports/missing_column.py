"""One line for the many tests that fail when the database lacks a column or a table that a model has.

The check of the models and the migrations says which; among sixty failures it would be overlooked.
"""

import pytest
from sqlalchemy.exc import DBAPIError

# undefined_column, undefined_table: https://www.postgresql.org/docs/current/errcodes-appendix.html
UNDEFINED = {"42703", "42P01"}
PROPERTY = ("savepoint", "undefined")


def is_missing(error: BaseException) -> bool:
    """Whether a statement has failed since the database has no such column or table."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in UNDEFINED


def mark(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """To be called before the report is made, which takes the mark along."""
    if call.excinfo is not None and is_missing(call.excinfo.value):
        # Travels with the report, from a worker of pytest-xdist too.
        item.user_properties.append(PROPERTY)


class Counter:
    """Counts them where reports arrive."""

    count = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.count += report.failed and PROPERTY in map(tuple, report.user_properties)


def configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Counter(), "savepoint_undefined")


def summarize(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """To be called below pytest's own list of the failed tests, which scrolls everything above it away."""
    counter = config.pluginmanager.get_plugin("savepoint_undefined")
    if counter is not None and counter.count:
        terminalreporter.write_line(
            f"{counter.count} failed because the database has no such column or table. The migrations make the schema; "
            "if the models say something else, this prints the missing lines: pytest tests/harness/checks",
            yellow=True,
        )
