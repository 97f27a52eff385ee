"""The application with a running lifespan, on the worker's database. Rows written during its startup are seed data.

If the lifespan fails to start, or ends between two tests, the run stops with one error.
"""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from ..app.lifespan import LifespanError, RunningApp
from ..connections.process import REDIRECT
from ..core.run import stop_run
from ..transaction.raw_connection import installed_driver
from .databases import WorkerDatabase
from .seed_data import copy_lifespan_rows
from .template import DATABASES

NOT_POSTGRESQL = (
    "The application connects to {}, not to PostgreSQL: tests would write to its database. Set the URL that it reads "
    'to a PostgreSQL URL before the application is imported, e.g. in conftest.py: os.environ["DATABASE_URL"] = '
    '"postgresql+{}://". Tests never connect to its address.'
)


@pytest.fixture(scope="session")
async def running_app(
    _connection_held: None, _application: FastAPI, _worker_database: WorkerDatabase, request: pytest.FixtureRequest
) -> AsyncIterator[RunningApp]:
    """The application with a running lifespan, connected to this worker's database."""
    config, redirect = request.config, request.config.stash[REDIRECT]
    running = RunningApp(_application, config.rootpath)
    redirect.begin("seeding")
    try:
        # A test may request the fixture in its body, by `getfixturevalue`.
        with redirect.refusing(None):
            await running.start()
        wrong = await redirect.end()
    except LifespanError as error:
        stop_run(config, str(error))
    except BaseException:
        # Cancelled during startup: its rows are no seed data, and later tests must not continue its transaction.
        redirect.terminate()
        raise
    if wrong:
        stop_run(config, f"The startup of the lifespan of the application '{_application.title}': {wrong}")
    if others := redirect.engines.only_others():
        stop_run(config, NOT_POSTGRESQL.format(" and ".join(sorted(others)), installed_driver()))
    await copy_lifespan_rows(config, config.stash[DATABASES], _worker_database, redirect)
    yield running
    # Rows that the shutdown writes are rolled back, as in a test.
    redirect.begin("test")
    try:
        with redirect.refusing(None):
            await running.stop()
    finally:
        await redirect.end()
