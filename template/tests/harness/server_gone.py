"""If the server ends under a test, that test fails, one line says so, and the run is over: no other could pass."""

import time
from collections.abc import Generator
from typing import Literal

import psycopg
import pytest

from .network import NETWORK
from .schema import DATABASES
from .server import USED, end_run, run_folder

# How long a server may take that starts again by itself, because one of its processes has crashed.
RECOVERY = 30
RECOVERING = "the database system is"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and USED in item.config.stash and GONE not in item.config.stash:
        with item.config.stash[NETWORK].let_through():
            why = _why_gone(item.config)
        if why is not None:
            item.config.stash[GONE] = True
            end_run(item.config, f"postgres: {why}")
    return report


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
            if RECOVERING not in str(error) or time.monotonic() > deadline:
                return f"the server is gone: {_told(config, 'last_words') or ' '.join(str(error).split())}"
            time.sleep(0.1)
    if databases is None or databases.is_connected():
        return None
    # It goes on by itself, but what it has cut, locks among it, does not come back.
    words = _told(config, "crash") or "its log says more"
    return f"the server has cut all connections, as it does when one of its processes crashes: {words}"


def _told(config: pytest.Config, what: Literal["last_words", "full", "crash"]) -> str | None:
    """What the folder of a server of the run's own tells; nothing is known of others."""
    if config.stash[USED].rung != "local":
        return None
    from .postgres import troubles

    told: str | None = getattr(troubles, what)(run_folder(config))
    return told
