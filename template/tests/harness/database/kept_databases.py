"""Databases that are left for people to look at: how to connect, and, if the run started the server, how to stop it.

What a run leaves on a server of somebody's own, the next run there drops. A server that the run has started stays up
only if `--keep-database` says so, until its supervisor is ended.
"""

import shlex
from pathlib import Path

import pytest

from ..core.run import add_to_summary
from ..postgres.server import Server
from .server import run_folder


def keeps_databases(config: pytest.Config, server: Server) -> bool:
    """Whether the database of a test that has failed is to be kept."""
    return server.rung == "url" or bool(config.getoption("keep_failed_databases"))


def tell_of_kept(config: pytest.Config, test: str, server: Server, database: str) -> None:
    """Keep the server, if it would end with the run, and let the summary say what was kept."""
    lines = [f"kept for {test}: {how_to_connect(server, database)}"]
    if server.rung != "url":
        supervisor = run_folder(config).keep()
        lines.append(f"its server runs until: kill {supervisor}")
    add_to_summary(config, "left", *lines)


def how_to_connect(server: Server, database: str) -> str:
    """A command that opens the database; of a password it only says that there is one."""
    psql = Path(server.origin) / "psql"
    command = str(psql) if server.rung == "local" and psql.exists() else "psql"
    arguments = ["-h", server.host, "-p", str(server.port), "-U", server.user, database]
    password = "" if server.password is None else "PGPASSWORD=… "
    return password + shlex.join([command, *arguments])
