"""The ways to isolate a test. Each is a conftest in this folder, and runs the one test of `test_sign_up.py`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Contender:
    """One way to isolate a test.

    Args:
        name: as `--only` takes it.
        title: as the table calls it.
        setup: how it was set up, in a line.
        slice: how many tests it runs in a round: about a third of a second of them.
        conftest: the file that takes the place of the rendered conftest; None for the harness.
        root_conftest: the file that is added to the rendered conftest.
    """

    name: str
    title: str
    setup: str
    slice: int
    conftest: str | None = None
    root_conftest: str | None = None


NONE = Contender(
    "none", "no isolation (the floor)", "real commits, unique values, the application's own pool", 50, "none.py"
)
SAVEPOINT = Contender("savepoint", "**savepoint**", "the rendered conftest as it is", 50)
UNGUARDED = Contender(
    "unguarded",
    "savepoint, guards off",
    "the rendered conftest, with every guard in `disabled_guards`",
    50,
    root_conftest="unguarded.py",
)
OWN_DATABASE = Contender(
    "own_database",
    "**own_database**",
    "the rendered conftest, every test marked; clones made ahead",
    20,
    root_conftest="own_database.py",
)
LISTENER = Contender(
    "listener",
    "event-listener recipe",
    "one session for test and application, `begin_nested` again after each commit; a listener per test",
    50,
    "listener.py",
)
DELETE = Contender("delete", "DELETE per test", "all tables, children first, in one round trip", 50, "delete.py")
TRUNCATE = Contender("truncate", "TRUNCATE per test", "all tables in one statement, sequences too", 15, "truncate.py")
PYTEST_POSTGRESQL = Contender(
    "pytest_postgresql",
    "pytest-postgresql",
    "`postgresql_noproc` with `load`, a clone of its template per test, an engine without a pool on it",
    8,
    "pytest_postgresql.py",
)
CREATE_ALL = Contender(
    "create_all", "create_all, drop_all per test", "by `MetaData`, on the application's own pool", 8, "create_all.py"
)

CONTENDERS = [NONE, SAVEPOINT, UNGUARDED, LISTENER, DELETE, OWN_DATABASE, TRUNCATE, PYTEST_POSTGRESQL, CREATE_ALL]
