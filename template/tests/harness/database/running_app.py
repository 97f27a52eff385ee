"""The application with its lifespan running, on the worker's database. What it writes while it starts is seed data.

A lifespan that fails to start, or dies between two tests, ends the run with one error that names it.
"""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from ..app.lifespan import LifespanError, RunningApp
from ..connections.redirect import Redirect
from ..core.run import stop_run
from .databases import WorkerDatabase, WorkerDatabases
from .seed_data import hand_on


@pytest.fixture(scope="session")
async def running_app(
    _connection_held: None,
    app: FastAPI,
    _worker_database: WorkerDatabase,
    _databases: WorkerDatabases,
    _redirect: Redirect,
    pytestconfig: pytest.Config,
) -> AsyncIterator[RunningApp]:
    """The application with its lifespan running, connected to this worker's database."""
    running = RunningApp(app, pytestconfig.rootpath)
    _redirect.shared.begin("seeding")
    try:
        # A test may ask for it in its middle, by `getfixturevalue`.
        with _redirect.refusing(None):
            await running.start()
        wrong = await _redirect.shared.end()
    except LifespanError as died:
        stop_run(pytestconfig, str(died))
    if wrong:
        stop_run(pytestconfig, f"the lifespan of the application '{app.title}' has started, but {wrong}.")
    await hand_on(pytestconfig, _databases, _worker_database, _redirect)
    yield running
    await running.stop()
