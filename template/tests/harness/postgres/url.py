"""The first rung: a server that is there already, named by TEST_DATABASE_URL.

Only its address counts. The database that the URL names is not touched: the harness makes databases of its own beside
it, and drops no other.
"""

import psycopg
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from .server import HarnessConnection, NamedWronglyError, Server
from .settings import first_line

VARIABLE = "TEST_DATABASE_URL"
ACCEPTED = "postgresql://user:password@host:5432/postgres, with ?host=/folder for a Unix socket, or ?sslmode=require"

QUERY = {"host", "port", "sslmode", "ssl"}
FACTS = "SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user"


def use(text: str, major: int) -> Server:
    """The server that `text`, the value of TEST_DATABASE_URL, names.

    Raises:
        NamedWronglyError: in one line that names the cause, and never the password.
    """
    url = _parsed(text)
    query = {name: value for name, value in url.query.items() if isinstance(value, str)}
    sslmode = query.get("sslmode") or query.get("ssl")
    try:
        # Its major counts more than its rights: whoever named the wrong server need not mend it.
        with HarnessConnection.connect(
            host=query.get("host") or url.host,
            port=int(query.get("port") or url.port or 5432),
            user=url.username,
            password=url.password,
            sslmode=sslmode,
            dbname="postgres",
            client_encoding="utf8",
            connect_timeout=10,
        ) as connection:
            info = connection.info
            server = Server(
                rung="url",
                major=info.server_version // 10000,
                version=f"{info.server_version // 10000}.{info.server_version % 10000}",
                origin=VARIABLE,
                host=info.host,
                port=info.port,
                user=info.user,
                password=url.password,
                sslmode=sslmode,
            )
            if server.major != major:
                raise NamedWronglyError(
                    f"{VARIABLE}: the server is PostgreSQL {server.version}, and this project is on {major} "
                    "(postgres_version in pyproject.toml)."
                )
            row = connection.execute(FACTS).fetchone()
    except psycopg.Error as error:
        raise NamedWronglyError(f"{VARIABLE}: {_without(url.password, first_line(error))}") from None
    if row is None or not row[0]:
        raise NamedWronglyError(
            f"{VARIABLE}: the role {server.user!r} may not create databases. "
            f"As a superuser: ALTER ROLE {server.user!r} CREATEDB".replace("'", '"')
        )
    return server


def _parsed(text: str) -> URL:
    try:
        url = make_url(text)
        # SQLAlchemy reads the port when it is asked for it.
        is_readable = url.port is None or 0 < url.port < 65536
    except (ArgumentError, ValueError):
        raise NamedWronglyError(f"{VARIABLE}: not a URL of a PostgreSQL server. Accepted: {ACCEPTED}") from None
    if not is_readable or url.drivername.partition("+")[0] not in ("postgresql", "postgres"):
        raise NamedWronglyError(f"{VARIABLE}: not a URL of a PostgreSQL server. Accepted: {ACCEPTED}")
    if unknown := url.query.keys() - QUERY:
        raise NamedWronglyError(f"{VARIABLE}: ?{sorted(unknown)[0]}= is not supported. Accepted: {ACCEPTED}")
    return url


def _without(password: str | None, text: str) -> str:
    return text.replace(password, "***") if password else text
