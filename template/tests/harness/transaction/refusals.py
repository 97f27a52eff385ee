"""Messages for what a savepoint test cannot imitate. The operation is refused, and the report of the test shows why."""

from dataclasses import dataclass, field

OWN_DATABASE = (
    "In a savepoint test, all sessions share one connection. Mark the test with @pytest.mark.own_database: it then "
    "runs on a database of its own, with real connections and real commits."
)

# Of a fixture with a wider scope than function.
NARROWER = "Give the fixture function scope, or write rows that all tests need in the fixture `seed_data`."

TRANSACTION = (
    "BEGIN, COMMIT or ROLLBACK was sent as SQL. It would end the test's transaction, and rows written before would "
    "stay. Use `await session.commit()`, `await session.rollback()` or `async with session.begin():`."
)

TWO_PHASE = "A two-phase transaction was used: PREPARE TRANSACTION would end the test's transaction. " + OWN_DATABASE

LEVEL = "The isolation level cannot change after the test's transaction has begun. " + OWN_DATABASE

SWALLOWED = (
    "An earlier statement failed, its error was caught, and the session continued without a rollback. In production, "
    "PostgreSQL answers the COMMIT of such a transaction with ROLLBACK and no error: nothing is saved. Put the "
    "statement that may fail into `async with session.begin_nested():`, inside the `try`; or call "
    "`await session.rollback()`."
)

ROLLBACK_CONFLICT = (
    "The rollback of a transaction would also undo what another transaction has {what} since the first one began. In "
    "production, that would not be undone. " + OWN_DATABASE
)

RELEASE_CONFLICT = (
    "A savepoint was released, as `async with session.begin_nested():` does at its end, while another transaction that "
    "has written inside it is still open and could no longer be rolled back. " + OWN_DATABASE
)

CONSTRAINT_CONFLICT = (
    "A deferred constraint is violated ({}) at the commit of a transaction, while another transaction that has written "
    "is open. The rows of either may violate it. Commit the other transaction first. " + OWN_DATABASE
)

CONNECTED_BEFORE_TEST = (
    "A connection that the lifespan or a fixture with a wider scope opened before this test is used in a test with a "
    "database of its own. The connection leads to another database. Open it where it is used."
)

KEPT_BY_LIFESPAN = (
    "A connection that the lifespan or a fixture with a wider scope has opened is used in a test{}. It is neither part "
    "of the test's transaction nor connected to the test's own database, and its commits would be in every later test. "
    "Use the application's engine; or a pool of the driver, and mark the test with @pytest.mark.own_database."
)

ENDED = (
    "The test's transaction has ended: COMMIT, ROLLBACK or a similar statement was sent through the driver. Rows "
    "written before may stay, so the database of this worker is recreated. " + OWN_DATABASE
)

LOST = (
    "The server closed the connection of the test and rolled back the test's earlier commits. In production, they "
    "would be kept. " + OWN_DATABASE
)

NO_DATABASE = (
    "A connection to PostgreSQL was requested{}, and no test database is in use. In a test, use `client`, `db_session` "
    "or `engine`. Code that connects at import must connect in the lifespan instead. A fixture or a hook that creates "
    "the tests' database can be deleted: the harness creates it from the migrations."
)

DIRECT_CONNECTION = (
    "It would be outside of the test's transaction: it would not see the test's rows, and its commits would be real. "
    "Mark the test with @pytest.mark.own_database: direct connections then go to the test's own database."
)

CONCURRENT_TASKS = (
    "Two tasks use the database at the same time: {} opened a session while {} has a session with uncommitted changes. "
    + OWN_DATABASE
)

STAYS_OPEN = (
    "Timed out after {1} s: {0} of the lifespan keeps a transaction with uncommitted changes open. It must commit or "
    "roll back."
)

SENDS = "Timed out after {} s: another thread is still sending a statement on the connection of the test."

COPIES = "A COPY of another session is still in progress on the connection of the test."

RUN_ENDED = "A session was used after the test database had ended. Use it in a test, in a fixture or in the lifespan."

LEFT_RUNNING = (
    "A thread that {} has started uses the database after the end of the test. Join the thread before the test "
    "returns, or start it in the lifespan."
)

STILL_RUNS = "The test ended, and a statement is still running {} s later. Await it before the test returns."


class NoTestDatabaseError(Exception):
    """A connection was requested while no test database is in use."""


class IsolationError(Exception):
    """The test requires more than one transaction on one connection."""


@dataclass
class Refusals:
    """The refusals of a test, in order; the first is the cause of the others."""

    messages: list[str] = field(default_factory=list)

    def add(self, message: str) -> IsolationError:
        """Record a refusal; returns the error to raise."""
        self.messages.append(message)
        return IsolationError(message)
