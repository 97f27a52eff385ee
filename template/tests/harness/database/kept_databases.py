"""Keeps the databases of failed tests, and prints how to connect to them and how to stop the server.

On the server of TEST_DATABASE_URL, the next run drops them. A server that the run has started is kept only with
`--keep-failed-databases`, until its supervisor is killed.
"""

import shlex
from pathlib import Path

import pytest

from ..core.run import add_to_summary
from ..postgres.server import Server
from .server import run_folder


def keeps_databases(config: pytest.Config, server: Server) -> bool:
    """Whether the database of a failed test is kept."""
    return server.source == "url" or bool(config.getoption("keep_failed_databases"))


def report_kept_database(config: pytest.Config, test: str, server: Server, database: str) -> None:
    """Add to the summary how to connect; if the run has started the server, keep it and add how to stop it."""
    lines = [f"kept the database of {test}: {psql_command(server, database)}"]
    if server.source != "url":
        supervisor = run_folder(config).keep()
        lines.append(f"stop its server: kill {supervisor}")
    add_to_summary(config, "left", *lines)


def psql_command(server: Server, database: str) -> str:
    """A command that opens the database, with "…" for a password."""
    psql = Path(server.origin) / "psql"
    command = str(psql) if server.source == "local" and psql.exists() else "psql"
    arguments = ["-h", server.host, "-p", str(server.port), "-U", server.user, database]
    password = "" if server.password is None else "PGPASSWORD=… "
    return password + shlex.join([command, *arguments])
