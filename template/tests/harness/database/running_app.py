"""The application with its lifespan running, on the worker's database. What it writes while it starts is seed data.

A lifespan that fails to start, or dies between two tests, ends the run with one error that names it.
"""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from ..app.lifespan import LifespanError, RunningApp
from ..connections.process import REDIRECT
from ..core.run import stop_run
from .databases import WorkerDatabase
from .seed_data import hand_on
from .template import DATABASES


@pytest.fixture(scope="session")
async def running_app(
    _connection_held: None, app: FastAPI, _worker_database: WorkerDatabase, request: pytest.FixtureRequest
) -> AsyncIterator[RunningApp]:
    """The application with its lifespan running, connected to this worker's database."""
    config, redirect = request.config, request.config.stash[REDIRECT]
    running = RunningApp(app, config.rootpath)
    redirect.shared.begin("seeding")
    try:
        # A test may ask for it in its middle, by `getfixturevalue`.
        with redirect.refusing(None):
            await running.start()
        wrong = await redirect.shared.end()
    except LifespanError as died:
        stop_run(config, str(died))
    except BaseException:
        # Ended while it started: what it has written is no seed data, and later tests would go on in its transaction.
        redirect.shared.cut()
        raise
    if wrong:
        stop_run(config, f"the lifespan of the application '{app.title}' has started, but {wrong}.")
    await hand_on(config, config.stash[DATABASES], _worker_database, redirect)
    yield running
    # What it writes at its end is rolled back, as what a test writes.
    redirect.shared.begin("test")
    try:
        with redirect.refusing(None):
            await running.stop()
    finally:
        await redirect.shared.end()
