"""`restart_sequences`: every savepoint test starts with the same next values, for tests that expect `id == 1`.

PostgreSQL does not roll back a sequence: a value that a test has taken is not given to the next test. A sequence of a
column restarts above the rows that every test has; another sequence at its start. They restart in the statement that
begins the test's transaction.
"""

from typing import Any

import pytest
from psycopg import Connection, sql

from ..connections.redirect import Redirect
from ..core.settings import settings_of
from .databases import WorkerDatabase
from .template import DATABASES

# For each database and its rows: the statement.
RESTART = pytest.StashKey[dict[tuple[str, str], list[str]]]()

SEQUENCES = """
    SELECT format('%I.%I', n.nspname, c.relname), s.seqstart, t.relnamespace::regnamespace::text, t.relname, a.attname
    FROM pg_sequence s
    JOIN pg_class c ON c.oid = s.seqrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_depend d
        ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
    LEFT JOIN pg_class t ON t.oid = d.refobjid
    LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    ORDER BY 1
"""


def restart_sequences(config: pytest.Config, redirect: Redirect, database: WorkerDatabase) -> None:
    """Let the next test begin with the restart of all sequences, if the setting is on."""
    if not settings_of(config).restart_sequences:
        return
    databases = config.stash[DATABASES]
    statements = config.stash.setdefault(RESTART, {})
    # The source changes when the lifespan or a fixture has written rows for every test.
    key = database.name, databases.source
    if key not in statements:
        with databases.server.connect(database.name) as connection:
            statements[key] = _statement(connection)
    for connected in (redirect.shared, redirect.synchronous):
        connected.transactions.at_begin = statements[key]


def _statement(connection: Connection[Any]) -> list[str]:
    """The statement that restarts all sequences; none without sequences."""
    values = []
    for name, start, schema, table, column in connection.execute(SEQUENCES).fetchall():
        highest = None
        if column is not None:
            highest_value = sql.SQL("SELECT max({}) FROM {}")
            query = highest_value.format(sql.Identifier(column), sql.Identifier(schema, table))
            [highest] = connection.execute(query).fetchone() or [None]
        is_above = isinstance(highest, int) and highest >= start
        next_value = f"{highest}, true" if is_above else f"{start}, false"
        values.append(sql.SQL("({}, {})").format(sql.Literal(name), sql.SQL(next_value)).as_string(connection))
    if not values:
        return []
    return [
        f"SELECT setval(name::regclass, value, is_used) FROM (VALUES {', '.join(values)}) AS v (name, value, is_used)"
    ]
