"""Databases that are left for people to look at: how to connect, and, if the run started the server, how to stop it.

What a run leaves on a server of somebody's own, the next run there drops. A server that the run has started stays up
only if `--keep-database` says so, until its supervisor is ended.
"""

import shlex
from pathlib import Path

import pytest

from .postgres.server import Server
from .server import run_folder

KEPT = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("savepoint").addoption(
        "--keep-database",
        action="store_true",
        help="keep the database of each own_database test that failed, and the server with it; on the server that "
        "TEST_DATABASE_URL names they are kept anyway, until the next run",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[KEPT] = []


def keeps_databases(config: pytest.Config, server: Server) -> bool:
    """Whether the database of a test that has failed is to be kept."""
    return server.rung == "url" or bool(config.getoption("keep_database"))


def tell_of_kept(config: pytest.Config, test: str, server: Server, database: str) -> None:
    """Keep the server, if it would end with the run, and let the summary say what was kept."""
    lines = [f"kept for {test}: {how_to_connect(server, database)}"]
    if server.rung != "url":
        supervisor = run_folder(config).keep()
        lines.append(f"its server runs until: kill {supervisor}")
    tell(config, *lines)


def tell(config: pytest.Config, *lines: str) -> None:
    """Let the summary say this, once for all workers."""
    config.stash[KEPT] += [line for line in lines if line not in config.stash[KEPT]]


def how_to_connect(server: Server, database: str) -> str:
    """A command that opens the database; of a password it only says that there is one."""
    psql = Path(server.origin) / "psql"
    command = str(psql) if server.rung == "local" and psql.exists() else "psql"
    arguments = ["-h", server.host, "-p", str(server.port), "-U", server.user, database]
    password = "" if server.password is None else "PGPASSWORD=… "
    return password + shlex.join([command, *arguments])


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["savepoint_kept"] = session.config.stash[KEPT]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object, error: object) -> None:
    """Hear from a worker of pytest-xdist what it kept."""
    config: pytest.Config = node.config  # type: ignore[attr-defined]
    tell(config, *getattr(node, "workeroutput", {}).get("savepoint_kept", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash[KEPT]:
        terminalreporter.write_line(line)
