"""Statements that may fail in the middle of a transaction, each in one round trip."""

from typing import Any

import psycopg
from psycopg import Connection, sql


def attempt(connection: Connection[Any], statement: sql.SQL | sql.Composed) -> list[tuple[Any, ...]]:
    """Send a statement in a savepoint; returns its rows. After `psycopg.Error`, the transaction goes on."""
    try:
        cursor = connection.execute(sql.SQL("SAVEPOINT attempt; {}; RELEASE attempt").format(statement))
    except psycopg.Error:
        connection.execute(b"ROLLBACK TO attempt; RELEASE attempt")
        raise
    cursor.nextset()
    return cursor.fetchall() if cursor.description else []
