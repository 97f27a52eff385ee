"""Detects a connection pooler, such as PgBouncer, between the run and the server.

A pooler keeps connections to a database after its clients have left, so the database cannot be cloned; one that pools
transactions also gives a client another session for each statement, without its locks and settings.
"""

import time
from typing import Any

import psycopg

from .server import Server

REFUSED = (
    "it leads to a connection pooler, with which databases cannot be cloned. Use the address of the server itself."
)
# PgBouncer's errors: for `options`, and for a second connection where it has only one. No server has them.
OF_POOLER = ("unsupported startup parameter", "query_wait_timeout")
PID = "SELECT pg_backend_pid()"
IS_THERE = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)"
# Seconds that a session may take to end after its connection was closed.
GRACE = 2.0

Connection = psycopg.Connection[tuple[Any, ...]]


def refusal_of_pooler(connection: Connection, server: Server) -> str | None:
    """Why the server cannot be used; None without a pooler."""
    if _pid(connection) == connection.info.backend_pid:
        return None
    # A proxy, which may still give each connection a session of its own.
    with server.connect() as other:
        pids = [(_pid(connection), _pid(other)) for _ in range(3)]
        if len(set(pids)) > 1 or pids[0][0] == pids[0][1]:
            return REFUSED
    deadline = time.monotonic() + GRACE
    while (connection.execute(IS_THERE, (pids[0][1],)).fetchone() or (False,))[0]:
        # It may keep a session for less than the grace period.
        with server.connect() as next_one:
            is_kept = _pid(next_one) == pids[0][1]
        if is_kept or time.monotonic() > deadline:
            return REFUSED
        time.sleep(0.05)
    return None


def refusal_by_pooler(error: psycopg.Error) -> str | None:
    """Why the server cannot be used, if the error of a connection is a pooler's."""
    return REFUSED if any(words in str(error) for words in OF_POOLER) else None


def _pid(connection: Connection) -> int:
    row = connection.execute(PID).fetchone()
    assert row is not None
    return int(row[0])
