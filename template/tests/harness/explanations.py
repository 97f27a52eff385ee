"""What to do about an error of SQLAlchemy's that looks like another, since a savepoint test has one connection."""

from sqlalchemy.exc import DBAPIError, MissingGreenlet

from .refusals import OWN_DATABASE, SWALLOWED

IN_TRANSACTION = "this statement runs outside of any transaction only, and a savepoint test is one. " + OWN_DATABASE
READ_ONLY = (
    "a fixture of a wider scope than a test's writes to the database, which would stay for all tests after it. Give it "
    "the scope of a function; rows that every test is to have are written by fixture `seed_data`."
)

LAZY = (
    "a relationship, or a column that a flush or a commit has made stale, was read without `await`, and asyncio cannot "
    "load it there. Load it with its row, `select(...).options(selectinload(Model.relationship))`, or by "
    "`await session.refresh(row)`."
)

# active_sql_transaction, read_only_sql_transaction, in_failed_sql_transaction:
# https://www.postgresql.org/docs/current/errcodes-appendix.html
BY_SQLSTATE = {"25001": IN_TRANSACTION, "25006": READ_ONLY, "25P02": SWALLOWED}


def explanation_of(error: BaseException) -> str | None:
    """What stands above the error in the test's report, if anything."""
    if isinstance(error, MissingGreenlet):
        return LAZY
    if isinstance(error, DBAPIError):
        return BY_SQLSTATE.get(getattr(error.orig, "sqlstate", None) or "")
    return None
