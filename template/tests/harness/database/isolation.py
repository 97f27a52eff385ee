"""Isolation of tests: a transaction that is rolled back or, with `@pytest.mark.own_database`, a database of its own.

A marked test is isolated whatever fixtures it uses. Another test is isolated before the first fixture that depends on
`running_app`, or else at its first connection. A violation of the isolation is the first line of the report, since it
causes the other errors.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from ..app.lifespan import LifespanError, RunningApp
from ..app.testclient_requests import track
from ..connections.process import REDIRECT
from ..connections.redirect import Redirect
from ..core.anyio_backend import unsuitable_backend
from ..core.project import is_governed
from ..core.run import stop_run
from ..core.source_lines import places
from ..transaction.fresh_session import TEST_SESSION, FreshSession, synchronous_fresh_session
from ..transaction.raw_connection import installed_driver
from ..transaction.refusals import DIRECT_CONNECTION, IsolationError
from .fixture_rows import ROWS
from .savepoint import TEST_URL, savepoint
from .server_gone import check_idle_connection
from .synchronous_end import OPEN_SESSIONS, OpenSessions

IS_REPORTED = pytest.StashKey[bool]()


def has_own_database(item: pytest.Item) -> bool:
    """Whether the test has the mark `own_database`."""
    return item.get_closest_marker("own_database") is not None


@pytest.fixture(autouse=True)
def _isolated(request: pytest.FixtureRequest, _guarded: None) -> Iterator[Callable[[], None]]:
    """A transaction or a database for each test that connects, used by the application's engines during the test.

    Autouse, so that it precedes the other fixtures of the test. Yields a function that begins the isolation, for a test
    that requests the application in its body, by `getfixturevalue`.
    """
    if not is_governed(request.node):
        yield lambda: None
        return
    check_idle_connection(request.config)
    redirect, has_own = request.config.stash[REDIRECT], has_own_database(request.node)
    if redirect.is_synchronous:
        track(request.config)
        request.config.stash[ROWS].restore_if_stale()
        request.config.stash[OPEN_SESSIONS] = OpenSessions(redirect)
        redirect.synchronous.test = request.node.nodeid
    reaches_application, is_isolated = "running_app" in request.fixturenames, False

    def isolate() -> None:
        nonlocal is_isolated
        if not is_isolated:
            is_isolated = True
            at_end.enter_context(savepoint(request, closes=not reaches_application))

    with ExitStack() as at_end:
        at_end.callback(setattr, redirect.synchronous, "test", None)
        # A direct connection of a driver is outside of the transaction of a savepoint test.
        at_end.enter_context(redirect.refusing(None if has_own else DIRECT_CONNECTION))
        is_async = inspect.iscoroutinefunction(getattr(request.node, "obj", None))
        has_anyio = request.config.pluginmanager.has_plugin("anyio")
        if is_async and has_anyio and unsuitable_backend(request.node) is None:
            # A connection that the test leaves open must not lose its event loop.
            request.getfixturevalue("_event_loop_held")
        if reaches_application:
            at_end.callback(_end_run_if_dead, request, request.getfixturevalue("running_app"))
        if has_own:
            is_isolated = True
            request.getfixturevalue("_own_pools")
        elif reaches_application:
            isolate()
        else:
            # At the first connection.
            at_end.callback(redirect.isolate_with, None)
            redirect.isolate_with(isolate)
        yield isolate


def _end_run_if_dead(request: pytest.FixtureRequest, running_app: RunningApp) -> None:
    try:
        running_app.raise_if_dead()
    except LifespanError as error:
        stop_run(
            request.config,
            f"{error}\nThe lifespan ended during {request.node.nodeid}; later tests would run without it.",
        )


@pytest.fixture(scope="session")
def application_engine(running_app: RunningApp, _redirect: Redirect) -> AsyncEngine | Engine:
    """The engine that `engine` and `db_session` use: the application's first engine for PostgreSQL."""
    if (engine := _redirect.engines.first()) is not None:
        return AsyncEngine(engine) if engine.dialect.is_async else engine
    # The application may create an engine in each request.
    return create_async_engine(f"postgresql+{installed_driver()}://")


@pytest.fixture(scope="session")
def _engine_of_tests(application_engine: AsyncEngine | Engine) -> AsyncEngine | Engine:
    """The same engine and pool, marked as the test's."""
    return application_engine.execution_options(**{TEST_SESSION: True})


@pytest.fixture
def engine(
    _isolated: Callable[[], None], application_engine: AsyncEngine | Engine, request: pytest.FixtureRequest
) -> AsyncEngine | Engine:
    """The application's engine on this test's database; in a savepoint test, in the test's transaction."""
    _isolated()
    engine = application_engine.execution_options()
    sync_engine = engine if isinstance(engine, Engine) else engine.sync_engine
    sync_engine.url = request.node.stash[TEST_URL].set(drivername=engine.url.drivername)
    return engine


@pytest.fixture
async def db_session(
    anyio_backend: str,
    _isolated: Callable[[], None],
    _engine_of_tests: AsyncEngine | Engine,
    request: pytest.FixtureRequest,
) -> AsyncIterator[AsyncSession | Session]:
    """The session of the test, not of the application: it sees only what the application has committed.

    In a synchronous application, it is a synchronous session.
    """
    _isolated()
    redirect = request.config.stash[REDIRECT]
    if isinstance(_engine_of_tests, Engine):
        with synchronous_fresh_session(_engine_of_tests) as synchronous:
            yield synchronous
            redirect.synchronous.transactions.is_ending = True
        return
    async with FreshSession(_engine_of_tests, expire_on_commit=False) as session:
        yield session
        redirect.shared.transactions.is_ending = True


def report_refused(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Insert the first refusal at the top of the report: it causes the other errors."""
    refused = item.config.stash[REDIRECT].refusals.messages
    # If the setup caught the error, the report of the test shows it.
    is_shown = call.when != "setup" or call.excinfo is not None
    if is_shown and refused and not item.stash.get(IS_REPORTED, False):
        item.stash[IS_REPORTED] = True
        # A test that is expected to fail, or was skipped, keeps its outcome.
        if not report.skipped:
            report.outcome = "failed"
            report.longrepr = "\n\n".join([refused[0], *_consequences(item, call, report)])
    if call.when == "teardown":
        refused.clear()


def _consequences(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> list[str]:
    if call.excinfo is None:
        return ["The error was caught, and the test continued."]
    if call.when != "teardown" and not call.excinfo.errisinstance(IsolationError):
        return [f"Error that followed:\n\n{report.longreprtext}"]
    # Only the frames of the project: about forty frames of SQLAlchemy are left out.
    return ["\n".join(places(call.excinfo.value, item.config.rootpath))]
