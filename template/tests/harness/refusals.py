"""What a savepoint test cannot hold, in the words that its reader gets, with what to write instead."""

OWN_DATABASE = (
    "A savepoint test has one connection for all sessions. Mark the test with @pytest.mark.own_database: it then runs "
    "on a database of its own, with real connections and real commits."
)

HAS_ENDED = (
    "the test's transaction has ended, and a new one would commit for real. What ended it was `db_session.rollback()`, "
    "or a flush of db_session that failed. Wrap what is expected to fail, inside `pytest.raises`, in "
    "`async with db_session.begin_nested():`."
)

NO_DATABASE = (
    "a connection to PostgreSQL was asked for{}, and no test database is in use. In a test, ask for "
    "`client`, `db_session` or `engine`; code that connects when it is imported has to wait for the lifespan."
)

BY_HAND = (
    "It would be outside of the test's transaction: it would not see the test's rows, and its commits would be real. "
    "Mark the test with @pytest.mark.own_database: it then runs on a database of its own, and so is the connection."
)
