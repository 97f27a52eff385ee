"""The server of a run: its address, and connections to it."""

from dataclasses import dataclass, field
from typing import Any, Literal

import psycopg
from sqlalchemy import URL

Source = Literal["url", "local", "docker"]


class NoServerError(Exception):
    """The run has no server; the message says why and what to do. It never contains a password."""


class ConfiguredServerError(NoServerError):
    """TEST_DATABASE_URL or POSTGRES_BIN is set and does not work; no other source may be tried."""


class HarnessConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection of the harness. It is not redirected to the test's database, as connections of tests are."""


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server that the tests may create databases on.

    Args:
        source: "url": the server exists before and after the run; otherwise the run has started it.
        major: such as 18.
        version: such as "18.6".
        origin: the folder of its binaries, its image, or "TEST_DATABASE_URL"; for messages.
        host: a name or an address, or the folder of a Unix socket, which begins with "/".
        sslmode: libpq's value; None is the driver's default.
    """

    source: Source
    major: int
    version: str
    origin: str
    host: str
    port: int
    user: str
    password: str | None = field(default=None, repr=False)
    sslmode: str | None = None

    def url(self, database: str, driver: str = "asyncpg") -> URL:
        """The URL of a database on this server, for SQLAlchemy."""
        query = {}
        if self.sslmode is not None:
            query["ssl" if driver == "asyncpg" else "sslmode"] = self.sslmode
        drivername = f"postgresql+{driver}"
        if self.host.startswith("/"):
            query |= {"host": self.host, "port": str(self.port)}
            return URL.create(drivername, self.user, self.password, database=database, query=query)
        return URL.create(drivername, self.user, self.password, self.host, self.port, database, query)

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        """A connection of the harness in autocommit mode, since CREATE DATABASE cannot run in a transaction.

        Raises:
            psycopg.OperationalError: the server does not answer within ten seconds, or refuses the connection.
        """
        return HarnessConnection.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            sslmode=self.sslmode,
            dbname=database,
            # Without it, text of a database with encoding SQL_ASCII is returned as bytes.
            client_encoding="utf8",
            # Overrides PGOPTIONS.
            options="",
            autocommit=True,
            connect_timeout=10,
            application_name="savepoint",
        )
