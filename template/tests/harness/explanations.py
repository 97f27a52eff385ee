"""What to do about an error that looks like another: it stands above the error, in the report of the test.

The error may be hidden: a cause, a context, a part of a group, or a text that pydantic has kept.
"""

from collections.abc import Generator
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError, InvalidRequestError, PendingRollbackError

from .chain import chain
from .other_loop import explanation_of_other_loop
from .refusals import HAS_ENDED, OWN_DATABASE
from .transaction import OuterTransaction
from .unloaded import explanation_of_unloaded

CUT = "a statement was cancelled while it ran, and that cuts its connection, the only one there is. " + OWN_DATABASE
ISOLATION_LEVEL = "the isolation level of the test's transaction cannot change any more. " + OWN_DATABASE
SWALLOWED = (
    "an earlier statement has failed, its error was caught, and its session went on without a rollback. In production "
    "PostgreSQL answers the COMMIT of such a transaction with a ROLLBACK, and no error: nothing would have been saved. "
    "Put what may fail into `async with session.begin_nested():`, inside the `try`; or `await session.rollback()`."
)

# in_failed_sql_transaction: https://www.postgresql.org/docs/current/errcodes-appendix.html
IN_FAILED_TRANSACTION = "25P02"


def explanation_of(error: BaseException, outer: OuterTransaction) -> str | None:
    """What is to be said of an error that only a savepoint test has, if anything."""
    for found in chain(error):
        if isinstance(found, PendingRollbackError) and outer.is_cut:
            return CUT
        if isinstance(found, PendingRollbackError) and outer.ended:
            return HAS_ENDED
        if isinstance(found, InvalidRequestError) and "isolation_level may not be altered" in str(found):
            return ISOLATION_LEVEL
    return None


def explanation(error: BaseException, root: Path) -> str | None:
    """What is to be said of an error of any test, if anything."""
    return explanation_of_unloaded(error, root) or explanation_of_other_loop(error, root) or _of_swallowed(error)


def _of_swallowed(error: BaseException) -> str | None:
    for found in chain(error):
        if isinstance(found, DBAPIError) and getattr(found.orig, "sqlstate", None) == IN_FAILED_TRANSACTION:
            return SWALLOWED
    return None


# The innermost of those that write into a report: what a guard or the isolation says stands above, and came first.
@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    why = explanation(call.excinfo.value, item.config.rootpath) if report.failed and call.excinfo else None
    if why is not None:
        report.longrepr = f"{why}\n\n{report.longreprtext}"
    return report
