"""Ends the run with one message if the server refuses something while the databases of tests are prepared.

Otherwise pytest would set up the fixture again for each test, and report the same error, with its traceback, each time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from ..core.exception_chain import chain
from ..core.run import ABORTED, add_to_summary, stop_run
from ..postgres.settings import first_line
from . import server_gone
from .migration_errors import MigrationError
from .server import USED

# What each fixture of the harness does.
DOING = {
    "_server": "while the schema was prepared",
    "_databases": "while the databases of ended runs were dropped",
    "_template_database": "while the template database was built",
    "_seeded_database": "while the template database was cloned for seed_data",
    "_worker_database": "while the template database was cloned for this worker",
    "_own_database": "while a database was cloned for a test",
    "empty_database_name": "while an empty database was created for a test",
    "migration_history": "while a database was created for the checks of migrations",
}
HELP = {
    ("too many connections", "connection slots", "too many clients"): (
        "Each worker needs three connections, and those that its tests open at once. Raise the limit of the user or of "
        "the server, or use fewer workers."
    ),
    ("No space left on device", "could not extend file"): "The server's disk is full.",
    # The setting default_transaction_read_only has no effect here.
    ("in a read-only transaction",): "It is a standby. Use a server that accepts writes.",
}


@contextmanager
def ending_run(fixturedef: pytest.FixtureDef[Any], config: pytest.Config) -> Iterator[None]:
    """Set up a fixture in the block; an error of the server ends the run."""
    doing = DOING.get(fixturedef.argname)
    if doing is None:
        yield
        return
    try:
        yield
    except psycopg.Error as error:
        said = server_gone.problem_of_run(config) or first_line(error)
        # The error of a migration after which the server could not even drop its database.
        lines = [f"migrations: {found}" for found in chain(error) if isinstance(found, MigrationError)]
        lines += [text for words, text in HELP.items() if any(word in said for word in words)]
        stop_run(config, "\n".join([f"postgres: {doing}: {said}", *lines]))
    except pytest.exit.Exception as end:
        # A migration that has failed may have ended the server. Without a server, the message has said why.
        if end.msg == ABORTED and USED in config.stash and (problem := server_gone.problem_of_run(config)):
            add_to_summary(config, "stopped", f"postgres: {doing}: {problem}")
        raise
