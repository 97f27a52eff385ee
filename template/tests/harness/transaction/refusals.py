"""What a savepoint test cannot imitate: refused when it happens, remembered, and shown first by the test's report."""

from dataclasses import dataclass, field

OWN_DATABASE = (
    "A savepoint test has one connection for all sessions. Mark the test with @pytest.mark.own_database: it then runs "
    "on a database of its own, with real connections and real commits."
)

TRANSACTION = (
    "BEGIN, COMMIT and ROLLBACK as SQL would end the test's transaction, and what was written before would stay. Use "
    "`await session.commit()`, `await session.rollback()` or `async with session.begin():`."
)

LEVEL = "the isolation level of the test's transaction cannot change any more. " + OWN_DATABASE

SWALLOWED = (
    "an earlier statement has failed, its error was caught, and its session went on without a rollback. In production "
    "PostgreSQL answers the COMMIT of such a transaction with a ROLLBACK, and no error: nothing would have been saved. "
    "Put what may fail into `async with session.begin_nested():`, inside the `try`; or `await session.rollback()`."
)

TOOK_ALONG = (
    "a transaction was rolled back, and would take along what another one has {what} since it began: in production, "
    "that would have stayed. " + OWN_DATABASE
)

ASIDE = (
    "a connection that was opened before this test, by the lifespan or by a fixture of a wider scope, is used in a "
    "test with a database of its own, which is another one. Connect where it is used."
)

ENDED = (
    "the test's transaction is over, and what was written in it has stayed: something sent COMMIT, ROLLBACK or their "
    "like through the driver. This worker's database is made anew. " + OWN_DATABASE
)


NO_DATABASE = (
    "a connection to PostgreSQL was asked for{}, and no test database is in use. In a test, ask for "
    "`client`, `db_session` or `engine`; code that connects when it is imported has to wait for the lifespan."
)

BY_HAND = (
    "It would be outside of the test's transaction: it would not see the test's rows, and its commits would be real. "
    "Mark the test with @pytest.mark.own_database: it then runs on a database of its own, and so is the connection."
)

AT_ONCE = (
    "two tasks use the database at once: {} opens a session while one of {}, which has written, is open. "
    + OWN_DATABASE
)

STAYS_OPEN = "{} of the lifespan has kept a transaction open, in which it has written, for {} s"

STILL_RUNS = "the test has ended, and a statement is still under way {} s later"


class IsolationError(Exception):
    """The test did what one transaction on one connection cannot hold."""


@dataclass
class Refusals:
    """What was refused in a test, in order; the first is the cause of what follows it."""

    messages: list[str] = field(default_factory=list)

    def add(self, message: str) -> IsolationError:
        """Remember a refusal; returns the error to be raised."""
        self.messages.append(message)
        return IsolationError(message)
