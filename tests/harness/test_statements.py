"""What a savepoint test sends to the server beside its own, by the server's log: no more than it needs."""

import re

from harness.postgres.run_folder import RunFolder
from harness.postgres.server import Server

from tests.harness.sample import Sample

TESTS = """
from httpx import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

async def test_first(client: AsyncClient, db_session: AsyncSession) -> None:
    # A connection's first use asks the server for its version and types.
    await client.get("/users/1")

async def test_marked(client: AsyncClient, db_session: AsyncSession) -> None:
    await db_session.execute(text("SELECT 'begin'"))
    await client.get("/users/1")
    await db_session.execute(text("SELECT 'end'"))
"""

NEEDED = [
    # Of `db_session`, with the test's own.
    "BEGIN; SAVEPOINT; SAVEPOINT",
    "SELECT 'begin'",
    # It has only read, and makes room for the request's.
    "RELEASE SAVEPOINT; SAVEPOINT",
    "SELECT users",
    # Its session is closed without a commit. A function may have written, and a rollback costs no more.
    "ROLLBACK TO SAVEPOINT; RELEASE SAVEPOINT",
    "SAVEPOINT",
    "SELECT 'end'",
    "ROLLBACK TO SAVEPOINT; ROLLBACK",
]


def test_no_more_than_is_needed(sample: Sample, server: Server, run_folder: RunFolder, url: str) -> None:
    sample.write("tests/test_a.py", TESTS)
    with server.connect() as connection:
        connection.execute("ALTER SYSTEM SET log_statement = 'all'")
        connection.execute("ALTER SYSTEM SET log_line_prefix = '%p '")
        connection.execute("SELECT pg_reload_conf()")

    outcome = sample.pytest("-p", "no:randomly", TEST_DATABASE_URL=url)

    with server.connect() as connection:
        connection.execute("ALTER SYSTEM RESET ALL")
        connection.execute("SELECT pg_reload_conf()")
    assert "2 passed" in outcome.output, outcome.output
    log = (run_folder.path / "log").read_text()
    sent = re.findall(r"^(\d+) LOG:  (?:statement|execute [^:]*): (.*)", log, re.M)
    [backend] = {pid for pid, statement in sent if statement == "SELECT 'begin'"}
    statements = [statement for pid, statement in sent if pid == backend]
    shortened = [shorten(statement) for statement in statements]
    # The last thing before it was the end of the test that came first.
    start = len(shortened) - shortened[::-1].index("ROLLBACK TO SAVEPOINT; ROLLBACK", 1)
    assert shortened[start:] == NEEDED


def shorten(statement: str) -> str:
    """A statement without the numbers of its savepoints, and a query by its first words."""
    return re.sub(r" savepoint_\w+", "", re.sub(r"^(SELECT users).*", r"\1", statement)).rstrip(";")
