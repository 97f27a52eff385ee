"""The server of a run: its address, and connections to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import psycopg
from sqlalchemy import URL

Source = Literal["url", "local", "docker"]


class NoServerError(Exception):
    """The run has no server; the message says why and what to do. It never contains a password."""


class ConfiguredServerError(NoServerError):
    """TEST_DATABASE_URL or POSTGRES_BIN is set and does not work; no other source may be tried."""


DEFAULTS: Mapping[str, Any] = {
    # Without it, text of a database with encoding SQL_ASCII is returned as bytes.
    "client_encoding": "utf8",
    "connect_timeout": 10,
    "application_name": "savepoint",
    # Seconds. Load balancers close connections that are idle for some minutes.
    "keepalives_idle": 60,
    # Milliseconds, so that a statement on a connection that a firewall has forgotten fails.
    "tcp_user_timeout": 30_000,
}

# Seconds after which a connection may have been closed by a proxy, and is checked or replaced before it is used.
IDLE = 30


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
        parameters: libpq's parameters of each connection besides the address, such as sslmode.
        maintenance_database: for CREATE DATABASE, and for the locks of runs.
        session_settings: settings of the role or the server that a test run cannot have, with the values that it needs.
        connection_limit: how many connections the user may have; None if the run has started the server.
    """

    source: Source
    major: int
    version: str
    origin: str
    host: str
    port: int
    user: str
    password: str | None = field(default=None, repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    maintenance_database: str = "postgres"
    session_settings: Mapping[str, str] = field(default_factory=dict, hash=False)
    connection_limit: int | None = None

    def url(self, database: str, driver: str = "asyncpg") -> URL:
        """The URL of a database on this server, for SQLAlchemy."""
        query = dict(self.parameters)
        if driver == "asyncpg":
            # SQLAlchemy passes the query to asyncpg as keyword arguments, which do not include the others.
            query = {"ssl": query["sslmode"]} if "sslmode" in query else {}
        return self._url(f"postgresql+{driver}", database, query)

    def libpq_url(self, database: str) -> URL:
        """The URL of a database, with libpq's parameters; `drivers.address` translates it for each driver."""
        return self._url("postgresql", database, self.parameters)

    def _url(self, drivername: str, database: str, query: Mapping[str, str]) -> URL:
        if self.host.startswith("/"):
            query = {**query, "host": self.host, "port": str(self.port)}
            return URL.create(drivername, self.user, self.password, database=database, query=query)
        return URL.create(drivername, self.user, self.password, self.host, self.port, database, query)

    def connect(self, database: str | None = None) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection of the harness in autocommit mode, since CREATE DATABASE cannot run in a transaction.

        Args:
            database: None is the maintenance database.

        Raises:
            psycopg.OperationalError: the server does not answer within ten seconds, or refuses the connection.
        """
        settings = ["-c " + f"{name}={value}".replace(" ", r"\ ") for name, value in self.session_settings.items()]
        own = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "dbname": database or self.maintenance_database,
            "options": " ".join([self.parameters.get("options", ""), *settings]).strip(),
        }
        return HarnessConnection.connect(**{**DEFAULTS, **self.parameters, **own}, autocommit=True)
