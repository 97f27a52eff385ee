"""The last look at a new connection of an engine: the server is asked for the name of its database.

By then `redirect` and `drivers` have sent it where it belongs. Some they cannot see: a `creator=` that has kept a
driver's `connect` from before the harness listened, or a driver that they do not know.
"""

from typing import Any, Protocol
from weakref import WeakSet

from sqlalchemy.pool import ConnectionPoolEntry

DRIVERS = {"asyncpg", "psycopg", "psycopg2", "pg8000"}


class WrongDatabaseError(Exception):
    """An engine has connected to another database than the test's."""


class Current(Protocol):
    """What knows where connections belong."""

    def is_current(self, name: str) -> bool: ...

    def place(self) -> str: ...


class Backstop:
    """Looks at the connections that a pool of SQLAlchemy's gets, but for those that were sent by the harness."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self._sent: WeakSet[Any] = WeakSet()

    def pass_over(self, connection: Any) -> None:
        """Take a driver's connection for right."""
        self._sent.add(connection)

    def connect(self, connection: Any, record: ConnectionPoolEntry) -> None:
        """Listen to the event of that name; raises `WrongDatabaseError`."""
        of_driver = record.driver_connection
        # What has a `member` is on the connection that a savepoint test shares.
        if (
            hasattr(of_driver, "member")
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
                f'an engine has connected to database "{name}"{self._current.place()}, which is not the test\'s. Its '
                "`creator=` or `async_creator=` asks a driver that the harness cannot send elsewhere. Make the engine "
                "with a URL; what a connection needs beside it, a `do_connect` listener can set."
            )
