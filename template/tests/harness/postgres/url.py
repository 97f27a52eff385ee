"""Source "url": an existing server, from TEST_DATABASE_URL.

The database in the URL is ignored and never changed: the harness creates its own databases on the server, and drops
only those.
"""

import psycopg
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from .server import ConfiguredServerError, HarnessConnection, Server
from .settings import first_line

VARIABLE = "TEST_DATABASE_URL"
EXPECTED = "postgresql://user:password@host:5432/postgres, with ?host=/folder for a Unix socket, or ?sslmode=require"

QUERY = {"host", "port", "sslmode", "ssl"}
CAN_CREATE_DATABASES = "SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user"


def use(text: str, major: int) -> Server:
    """The server at `text`, the value of TEST_DATABASE_URL.

    Raises:
        ConfiguredServerError: it cannot be used; the message is one line, without the password.
    """
    url = _parsed(text)
    query = {name: value for name, value in url.query.items() if isinstance(value, str)}
    sslmode = query.get("sslmode") or query.get("ssl")
    try:
        # The version is checked before the role: on the wrong server, the role does not matter.
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
                source="url",
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
                raise ConfiguredServerError(
                    f"{VARIABLE}: the server is PostgreSQL {server.version}, "
                    f"but postgres_version in pyproject.toml is {major}."
                )
            row = connection.execute(CAN_CREATE_DATABASES).fetchone()
    except psycopg.Error as error:
        raise ConfiguredServerError(f"{VARIABLE}: {_masked(url.password, first_line(error))}") from None
    if row is None or not row[0]:
        raise ConfiguredServerError(
            f"{VARIABLE}: role {server.user!r} cannot create databases. "
            f"Run as a superuser: ALTER ROLE {server.user!r} CREATEDB".replace("'", '"')
        )
    return server


def _parsed(text: str) -> URL:
    try:
        url = make_url(text)
        # SQLAlchemy parses the port on access.
        is_readable = url.port is None or 0 < url.port < 65536
    except (ArgumentError, ValueError):
        raise ConfiguredServerError(f"{VARIABLE}: not a PostgreSQL URL. Expected: {EXPECTED}") from None
    if not is_readable or url.drivername.partition("+")[0] not in ("postgresql", "postgres"):
        raise ConfiguredServerError(f"{VARIABLE}: not a PostgreSQL URL. Expected: {EXPECTED}")
    if unknown := url.query.keys() - QUERY:
        raise ConfiguredServerError(f"{VARIABLE}: ?{sorted(unknown)[0]}= is not supported. Expected: {EXPECTED}")
    return url


def _masked(password: str | None, text: str) -> str:
    return text.replace(password, "***") if password else text
