"""Source "url": an existing server, from TEST_DATABASE_URL.

The databases of the server are never changed: the harness creates its own, and drops only those. The database of the
URL is connected to only if `postgres` cannot be.
"""

from collections.abc import Mapping
from typing import Any

import psycopg
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from .poolers import refusal_by_pooler, refusal_of_pooler
from .server import DEFAULTS, ConfiguredServerError, HarnessConnection, Server
from .settings import first_line

VARIABLE = "TEST_DATABASE_URL"
EXPECTED = "postgresql://user:password@host:5432/postgres, with ?host=/folder for a Unix socket, or ?sslmode=require"
ESCAPED = ". In a user or a password, write @ as %40, : as %3A, / as %2F and % as %25"

# libpq's parameters that a URL, or its service, may set for each connection of the run.
PARAMETERS = {"hostaddr", "options", "connect_timeout", "target_session_attrs", "channel_binding", "require_auth"}
PARAMETERS |= {"sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "sslnegotiation", "sslcertmode"}
PARAMETERS |= {"ssl_min_protocol_version", "ssl_max_protocol_version", "gssencmode", "krbsrvname", "gsslib"}
PARAMETERS |= {"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"}
QUERY = PARAMETERS | {"host", "port", "ssl", "service", "passfile"}

CAN_CREATE_DATABASES = "SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user"
# Settings of the role, or of the server, that would break the set-up or change what a test sees, with the values for
# a run.
WANTED = {
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "lock_timeout": "0",
    "statement_timeout": "0",
    "transaction_timeout": "0",
}
# How many connections the role may have: of its own, and on this server.
CONNECTION_LIMIT = """
    SELECT least(
        nullif(rolconnlimit, -1),
        current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
            - coalesce(current_setting('reserved_connections', true)::int, 0)
    )
    FROM pg_roles WHERE rolname = current_user
"""
# Those that this version of the server has.
SETTINGS = "SELECT name, setting FROM pg_settings WHERE name = ANY (%s)"


def use(text: str, major: int) -> Server:
    """The server at `text`, the value of TEST_DATABASE_URL.

    Raises:
        ConfiguredServerError: it cannot be used; the message is one line, without the password.
    """
    url = _parsed(text)
    given = {name: value for name, value in url.query.items() if isinstance(value, str)}
    if mode := given.pop("ssl", None):
        given.setdefault("sslmode", mode)
    address = {"host": url.host, "port": url.port, "user": url.username, "password": url.password}
    if "service" not in given:
        address["port"] = url.port or 5432
    options = {name: value for name, value in {**address, **given}.items() if value is not None}
    try:
        with _connected(options, dict.fromkeys(["postgres", *filter(None, [url.database])])) as connection:
            server = _server(connection, options)
            # The version is checked before the role: on the wrong server, the role does not matter.
            if server.major != major:
                raise ConfiguredServerError(
                    f"{VARIABLE}: the server is PostgreSQL {server.version}, "
                    f"but postgres_version in pyproject.toml is {major}."
                )
            row = connection.execute(CAN_CREATE_DATABASES).fetchone()
            if refusal := refusal_of_pooler(connection, server):
                raise ConfiguredServerError(f"{VARIABLE}: {refusal}")
    except psycopg.Error as error:
        reason = refusal_by_pooler(error) or _masked(url.password, first_line(error))
        raise ConfiguredServerError(f"{VARIABLE}: {reason}") from None
    if row is None or not row[0]:
        raise ConfiguredServerError(
            f"{VARIABLE}: role {server.user!r} cannot create databases. "
            f"Run as a superuser: ALTER ROLE {server.user!r} CREATEDB".replace("'", '"')
        )
    return server


def _connected(options: Mapping[str, Any], databases: Mapping[str, None]) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection to the first of the databases that can be connected to."""
    first: psycopg.Error | None = None
    for name in databases:
        try:
            return HarnessConnection.connect(**{**DEFAULTS, **options, "dbname": name}, autocommit=True)
        except psycopg.OperationalError as error:
            first = first or error
            if name not in str(error):
                # The address, the user or the password is wrong, and not the database.
                break
    raise first or ValueError("no database")


def _server(connection: psycopg.Connection[tuple[Any, ...]], options: Mapping[str, Any]) -> Server:
    info = connection.info
    # Not `info.get_parameters()`, which fails for a user without a home.
    resolved = {
        option.keyword.decode(): option.val.decode()
        for option in connection.pgconn.info
        if option.val is not None and option.val != option.compiled
    }
    # A service may have set any of them.
    given = resolved.keys() if "service" in options else options.keys()
    settings = dict(connection.execute(SETTINGS, ([*WANTED],)).fetchall())
    (limit,) = connection.execute(CONNECTION_LIMIT).fetchone() or (None,)
    return Server(
        source="url",
        major=info.server_version // 10000,
        version=f"{info.server_version // 10000}.{info.server_version % 10000}",
        origin=VARIABLE,
        host=info.host,
        port=info.port,
        user=info.user,
        # libpq may have read it from a service, a file or the environment. Other drivers get it from here.
        password=info.password or None,
        parameters={name: resolved[name] for name in PARAMETERS & given & resolved.keys()}
        | {name: options[name] for name in DEFAULTS.keys() & options.keys()},
        maintenance_database=info.dbname,
        session_settings={name: WANTED[name] for name in WANTED if settings.get(name, WANTED[name]) != WANTED[name]},
        connection_limit=limit,
    )


def _parsed(text: str) -> URL:
    try:
        url = make_url(text)
        # SQLAlchemy parses the port on access.
        is_readable = url.port is None or 0 < url.port < 65536
    except (ArgumentError, ValueError):
        raise ConfiguredServerError(f"{VARIABLE}: not a PostgreSQL URL. Expected: {EXPECTED}{ESCAPED}") from None
    if not is_readable or url.drivername.partition("+")[0] not in ("postgresql", "postgres"):
        raise ConfiguredServerError(f"{VARIABLE}: not a PostgreSQL URL. Expected: {EXPECTED}")
    if unknown := url.query.keys() - QUERY:
        raise ConfiguredServerError(f"{VARIABLE}: ?{sorted(unknown)[0]}= is not supported. Expected: {EXPECTED}")
    return url


def _masked(password: str | None, text: str) -> str:
    return text.replace(password, "***") if password else text
