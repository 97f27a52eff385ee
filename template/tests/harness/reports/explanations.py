"""What to do about an error that looks like another: it stands above the error, in the report of the test.

The error may be hidden: a cause, a context, a part of a group, or a text that pydantic has kept.
"""

from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from ..core.exception_chain import chain
from ..transaction.refusals import OWN_DATABASE, SWALLOWED
from .other_loop import explanation_of_other_loop
from .unloaded_attribute import explanation_of_unloaded

IN_TRANSACTION = "this statement runs outside of any transaction only, and a savepoint test is one. " + OWN_DATABASE
READ_ONLY = (
    "a fixture of a wider scope than a test's writes to the database, which would stay for all tests after it. Give it "
    "the scope of a function; rows that every test is to have are written by fixture `seed_data`."
)

# active_sql_transaction, read_only_sql_transaction, in_failed_sql_transaction:
# https://www.postgresql.org/docs/current/errcodes-appendix.html
BY_SQLSTATE = {"25001": IN_TRANSACTION, "25006": READ_ONLY, "25P02": SWALLOWED}


def explanation(error: BaseException, root: Path) -> str | None:
    """What is to be said of an error, if anything."""
    return explanation_of_unloaded(error, root) or explanation_of_other_loop(error, root) or _by_sqlstate(error)


def _by_sqlstate(error: BaseException) -> str | None:
    for found in chain(error):
        if isinstance(found, DBAPIError) and (sqlstate := getattr(found.orig, "sqlstate", None)) in BY_SQLSTATE:
            return BY_SQLSTATE[sqlstate]
    return None


def explain(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Say above an error what to do about it, if that is known."""
    why = explanation(call.excinfo.value, item.config.rootpath) if report.failed and call.excinfo else None
    if why is not None:
        report.longrepr = f"{why}\n\n{report.longreprtext}"
