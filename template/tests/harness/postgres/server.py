"""The server that a run uses: where it is, and how to connect."""

from dataclasses import dataclass, field
from typing import Any, Literal

import psycopg
from sqlalchemy import URL

Rung = Literal["url", "local", "docker"]


class NoServerError(Exception):
    """There is no server for this run; the text says why, and what to do. It never holds a password."""


class NamedWronglyError(NoServerError):
    """What somebody has named as the server does not serve: no other may take its place."""


class HarnessConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection of the harness's own, which goes where it was told; those of tests go to the test's database."""


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server that the tests may create databases on.

    Args:
        rung: how it was found. A server of rung "url" was there before the run, and will be there after it.
        major: such as 18.
        version: such as "18.6".
        origin: what it was started from, for people to read.
        host: a name or an address, or the folder of a Unix socket, which begins with "/".
        sslmode: as libpq names it; None leaves it to the drivers.
    """

    rung: Rung
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
        """A connection of the harness's own, in autocommit, since CREATE DATABASE refuses to run in a transaction.

        Raises:
            psycopg.OperationalError: nobody answers within ten seconds, or the server refuses.
        """
        return HarnessConnection.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            sslmode=self.sslmode,
            dbname=database,
            # A server of SQL_ASCII would otherwise answer in bytes.
            client_encoding="utf8",
            # Not what PGOPTIONS says on this machine.
            options="",
            autocommit=True,
            connect_timeout=10,
            application_name="savepoint",
        )
