"""`application_role`: tests connect as the role that the application has in production.

The server's user in tests is a superuser, for whom every GRANT and every policy is satisfied. With the setting, each
connection of the application and of a test changes to the role when it starts; migrations run as the server's user.
"""

from contextlib import suppress

import psycopg
import pytest
from psycopg import sql

from ..core.run import stop_run
from ..core.settings import FILE, TABLE, settings_of
from ..postgres.server import Server

ROLE = """
    SELECT rolsuper, rolbypassrls, pg_has_role(current_user, oid, 'MEMBER') FROM pg_roles WHERE rolname = %s
"""


def create_if_missing(config: pytest.Config, server: Server) -> None:
    """Create the role on a server of the run's own, for migrations that grant something to it."""
    role = settings_of(config).application_role
    if role and server.source != "url":
        with server.connect() as connection, suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))


def check(config: pytest.Config, server: Server) -> None:
    """Stop the run if tests cannot connect as the role, or if no GRANT and no policy applies to it."""
    role = settings_of(config).application_role
    if role and (why := _error(server, role)):
        stop_run(config, f"{FILE}: {TABLE}: application_role: {why}")


def _error(server: Server, role: str) -> str | None:
    with server.connect() as connection:
        row = connection.execute(ROLE, (role,)).fetchone()
    if row is None:
        return f'role "{role}" does not exist on the server of TEST_DATABASE_URL. Create it there, or in a migration.'
    is_superuser, bypasses, is_member = row
    if is_superuser or bypasses:
        why = "is a superuser" if is_superuser else "has BYPASSRLS"
        return f'role "{role}" {why}, so that policies do not apply to it. Name the role of the application.'
    if is_member:
        return None
    granted, user = (sql.Identifier(name).as_string(None) for name in (role, server.user))
    return f'"{server.user}" may not change to role "{role}". GRANT {granted} TO {user}'
