"""Ends the run with one line if the server has stopped or crashed during a test, since no further test could pass.

A server that answers but refuses a connection, because it has too many, has not stopped. If only the harness's
connection was closed, it is opened again and takes the lock of the run again; the summary says so.
"""

import time
from collections.abc import Generator
from contextlib import suppress
from typing import Literal

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping

from ..core.network_access import NETWORK_ACCESS
from ..core.run import end_run, stop_run
from .server import FOLDER, USED, run_folder
from .template import DATABASES

# Seconds that a server may take to recover after one of its processes has crashed.
RECOVERY = 30

DROPPED = (
    "another run has dropped the databases of this run: the harness's connection, which held their lock, was closed. "
    "Possible reasons: a proxy that closes idle connections, pg_terminate_backend, or a crash of a server process. See "
    "the server's log"
)

# Functions of `troubles.py`.
Diagnosis = Literal["folder_removed", "exit_reason", "disk_full", "crash"]


def end_run_if_gone(item: pytest.Item, report: pytest.TestReport) -> None:
    """After a failed test, check that the server still runs and has kept its connections."""
    if report.failed and USED in item.config.stash and GONE not in item.config.stash:
        with item.config.stash[NETWORK_ACCESS].unchecked():
            problem = _problem(item.config)
        if problem is not None:
            item.config.stash[GONE] = True
            end_run(item.config, f"postgres: {problem}")


def check_idle_connection(config: pytest.Config) -> None:
    """Before a test, check the harness's connection if it was idle: a proxy may have closed it."""
    databases = config.stash.get(DATABASES, None)
    if databases is not None:
        # If the server does not answer, the test fails, and what follows says why.
        with suppress(psycopg.OperationalError):
            if not databases.reopen_if_closed(only_if_idle=True):
                config.stash[GONE] = True
                stop_run(config, f"postgres: {DROPPED}")


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    try:
        return (yield)
    except (psycopg.Error, OSError):
        # Fixtures could not clean up on the server.
        if GONE not in session.config.stash:
            raise


GONE = pytest.StashKey[bool]()


def problem_of_run(config: pytest.Config) -> str | None:
    """A line on what has happened to the server during the set-up of the databases, after which the run ends."""
    with config.stash[NETWORK_ACCESS].unchecked():
        problem = _problem(config) if USED in config.stash else _problem_of_start(config)
    if problem is not None:
        config.stash[GONE] = True
    return problem


def _problem_of_start(config: pytest.Config) -> str | None:
    # A server that was started, and whose schema could not be built.
    if FOLDER not in config.stash or not (config.stash[FOLDER].path / "log").exists():
        return None
    if problem := _diagnosis(config, "disk_full") or _crashed(_diagnosis(config, "crash")):
        return problem
    reason = _diagnosis(config, "exit_reason")
    return reason and f"the server has stopped: {reason}"


def _crashed(where: str | None) -> str | None:
    return where and f"a server process has crashed, and the server has closed all connections: {where}"


def _problem(config: pytest.Config) -> str | None:
    """A line on what has happened to the server; None if it still runs and has kept its connections."""
    server, databases = config.stash[USED], config.stash.get(DATABASES, None)
    if problem := _diagnosis(config, "folder_removed") or _diagnosis(config, "disk_full"):
        return problem
    deadline = time.monotonic() + RECOVERY
    while True:
        try:
            server.connect().close()
            break
        except psycopg.OperationalError as error:
            host = server.parameters.get("hostaddr", server.host)
            answer = PGconn.ping(make_conninfo(host=host, port=server.port, connect_timeout=10).encode())
            if answer == Ping.OK:
                break
            if answer != Ping.REJECT or time.monotonic() > deadline:
                return f"the server has stopped: {_diagnosis(config, 'exit_reason') or ' '.join(str(error).split())}"
            time.sleep(0.1)
    if databases is None:
        return None
    # The server may have recovered, but its connections are lost.
    if not databases.is_connected() and (crashed := _crashed(_diagnosis(config, "crash"))):
        return crashed
    # A server that refuses a connection may accept one later.
    with suppress(psycopg.OperationalError):
        return None if databases.reopen_if_closed() else DROPPED
    return None


def _diagnosis(config: pytest.Config, name: Diagnosis) -> str | None:
    """The result of a function of `troubles.py`; None if the run has not started the server from local binaries."""
    if USED in config.stash and config.stash[USED].source != "local":
        return None
    from ..postgres import troubles

    diagnosis: str | None = getattr(troubles, name)(run_folder(config))
    return diagnosis
