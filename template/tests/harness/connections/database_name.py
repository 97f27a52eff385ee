"""Checks the database of each new connection of an engine, by a query.

`redirect` and `drivers` redirect connections before. They miss a `creator=` that holds a reference to a driver's
original `connect`, and drivers that they do not know.
"""

from typing import Any, Protocol
from weakref import WeakSet

from sqlalchemy.pool import ConnectionPoolEntry

DRIVERS = {"asyncpg", "psycopg", "psycopg2", "pg8000"}


class WrongDatabaseError(Exception):
    """An engine connected to a database other than the test's."""


class CurrentDatabase(Protocol):
    """Knows the database of the test."""

    def is_current(self, name: str) -> bool: ...

    def place(self) -> str: ...


class DatabaseCheck:
    """Checks new connections of SQLAlchemy's pools, except those that the harness redirected."""

    def __init__(self, current: CurrentDatabase) -> None:
        self._current = current
        self._sent: WeakSet[Any] = WeakSet()

    def skip(self, connection: Any) -> None:
        """Do not check this connection of a driver."""
        self._sent.add(connection)

    def connect(self, connection: Any, record: ConnectionPoolEntry) -> None:
        """Listener of SQLAlchemy's event; raises `WrongDatabaseError`."""
        of_driver = record.driver_connection
        # A connection with the attribute `logical` is a proxy on the shared connection of a savepoint test.
        if (
            hasattr(of_driver, "logical")
            or of_driver in self._sent
            or not DRIVERS & {base.__module__.partition(".")[0] for base in type(of_driver).mro()}
        ):
            return
        cursor = connection.cursor()
        cursor.execute("SELECT current_database()")
        name = cursor.fetchone()[0]
        cursor.close()
        connection.rollback()
        if not self._current.is_current(name):
            connection.close()
            raise WrongDatabaseError(
                f'An engine connected to database "{name}"{self._current.place()}, which is not the test database. '
                "The harness cannot redirect the function that its `creator=` or `async_creator=` calls. Create the "
                "engine from a URL, and set other connection arguments in a `do_connect` listener."
            )
