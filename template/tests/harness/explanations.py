"""What to do about an error of SQLAlchemy's that looks like another, since a savepoint test has one connection."""

from sqlalchemy.exc import DBAPIError, InvalidRequestError, MissingGreenlet, PendingRollbackError

from .refusals import HAS_ENDED, OWN_DATABASE
from .transaction import OuterTransaction

CUT = "a statement was cancelled while it ran, and that cuts its connection, the only one there is. " + OWN_DATABASE
ISOLATION_LEVEL = "the isolation level of the test's transaction cannot change any more. " + OWN_DATABASE
SWALLOWED = (
    "an earlier statement has failed, its error was caught, and its session went on without a rollback. In production "
    "PostgreSQL answers the COMMIT of such a transaction with a ROLLBACK, and no error: nothing would have been saved. "
    "Put what may fail into `async with session.begin_nested():`, inside the `try`; or `await session.rollback()`."
)

LAZY = (
    "a relationship, or a column that a flush or a commit has made stale, was read without `await`, and asyncio cannot "
    "load it there. Load it with its row, `select(...).options(selectinload(Model.relationship))`, or by "
    "`await session.refresh(row)`."
)

# in_failed_sql_transaction: https://www.postgresql.org/docs/current/errcodes-appendix.html
IN_FAILED_TRANSACTION = "25P02"


def explanation_of(error: BaseException, outer: OuterTransaction) -> str | None:
    """What stands above the error in the test's report, if anything."""
    if isinstance(error, PendingRollbackError) and outer.is_cut:
        return CUT
    if isinstance(error, PendingRollbackError) and outer.ended:
        return HAS_ENDED
    if isinstance(error, MissingGreenlet):
        return LAZY
    if isinstance(error, InvalidRequestError) and "isolation_level may not be altered" in str(error):
        return ISOLATION_LEVEL
    if isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) == IN_FAILED_TRANSACTION:
        return SWALLOWED
    return None
