"""If the server ends under a test, that test fails, one line says so, and the run is over: no other could pass.

It is gone if it does not answer, and not if it refuses, as it does when it has no connection to spare.
"""

import time
from collections.abc import Generator
from typing import Literal

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping

from ..core.network_access import NETWORK_ACCESS
from ..core.run import end_run
from .server import USED, run_folder
from .template import DATABASES

# How long a server may take that starts again by itself, because one of its processes has crashed.
RECOVERY = 30


def end_run_if_gone(item: pytest.Item, report: pytest.TestReport) -> None:
    """After a failure: look whether the server is still there, as it was."""
    if report.failed and USED in item.config.stash and GONE not in item.config.stash:
        with item.config.stash[NETWORK_ACCESS].unchecked():
            why = _why_gone(item.config)
        if why is not None:
            item.config.stash[GONE] = True
            end_run(item.config, f"postgres: {why}")


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    try:
        return (yield)
    except (psycopg.Error, OSError):
        # Of fixtures that clean up on the server.
        if GONE not in session.config.stash:
            raise


GONE = pytest.StashKey[bool]()


def _why_gone(config: pytest.Config) -> str | None:
    """What has become of the server, in a line; None if it is there, as it was."""
    server, databases = config.stash[USED], config.stash.get(DATABASES, None)
    if words := _told(config, "full"):
        return words
    deadline = time.monotonic() + RECOVERY
    while True:
        try:
            server.connect().close()
            break
        except psycopg.OperationalError as error:
            answer = PGconn.ping(make_conninfo(host=server.host, port=server.port, connect_timeout=10).encode())
            if answer == Ping.OK:
                break
            if answer != Ping.REJECT or time.monotonic() > deadline:
                return f"the server is gone: {_told(config, 'last_words') or ' '.join(str(error).split())}"
            time.sleep(0.1)
    if databases is None or databases.is_connected():
        return None
    # It goes on by itself, but what it has cut, locks among it, does not come back.
    if crashed := _told(config, "crash"):
        return f"the server has cut all connections, as it does when one of its processes crashes: {crashed}"
    return (
        "the server has cut the harness's connection, and with it went the lock that keeps other runs from this one's "
        "databases. Either a test has ended it (pg_terminate_backend), or one of the server's processes has crashed, "
        "which its log says"
    )


def _told(config: pytest.Config, what: Literal["last_words", "full", "crash"]) -> str | None:
    """What the folder of a server of the run's own tells; nothing is known of others."""
    if config.stash[USED].rung != "local":
        return None
    from ..postgres import troubles

    told: str | None = getattr(troubles, what)(run_folder(config))
    return told
