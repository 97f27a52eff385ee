"""What each test may write to: a transaction that is rolled back, or, with `@pytest.mark.own_database`, a database
of its own.

The mark isolates by itself, whatever fixtures the test takes. A test without it is isolated if it reaches the
application by a fixture, before that fixture runs; or else when its first connection is asked for. What broke the
isolation is reported first, since all else that went wrong follows from it.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from ..app.lifespan import LifespanError, RunningApp
from ..connections.process import REDIRECT
from ..connections.redirect import Redirect
from ..core.run import stop_run
from ..core.source_lines import places
from ..transaction.fresh_session import OF_TEST, FreshSession
from ..transaction.raw_connection import installed_driver
from ..transaction.refusals import BY_HAND, IsolationError
from .savepoint import TEST_URL, savepoint

MARK = "own_database: give this test a database of its own, with real commits and as many connections as it likes."
IS_REPORTED = pytest.StashKey[bool]()


def has_own_database(item: pytest.Item) -> bool:
    """Whether the test is marked so."""
    return item.get_closest_marker("own_database") is not None


@pytest.fixture(autouse=True)
def _isolated(request: pytest.FixtureRequest) -> Iterator[Callable[[], None]]:
    """A transaction or a database for each test that reaches one, which the application's engines use while it runs.

    Autouse, so that it comes before the fixtures of that test. It yields what isolates a test that asks for the
    application in its middle, by `getfixturevalue`.
    """
    redirect, has_own = request.config.stash[REDIRECT], has_own_database(request.node)
    reaches_application, is_isolated = "running_app" in request.fixturenames, False

    def isolate() -> None:
        nonlocal is_isolated
        if not is_isolated:
            is_isolated = True
            at_end.enter_context(savepoint(request, closes=not reaches_application))

    with ExitStack() as at_end:
        # What a driver is asked for by hand is outside of a savepoint test's transaction.
        at_end.enter_context(redirect.refusing(None if has_own else BY_HAND))
        is_async = inspect.iscoroutinefunction(getattr(request.node, "obj", None))
        if is_async and request.config.pluginmanager.has_plugin("anyio"):
            # A connection that the test leaves outlives its call.
            request.getfixturevalue("_event_loop_held")
        if reaches_application:
            at_end.callback(_end_run_if_dead, request, request.getfixturevalue("running_app"))
        if has_own:
            is_isolated = True
            request.getfixturevalue("_own_pools")
        elif reaches_application:
            isolate()
        else:
            # As soon as it connects.
            at_end.callback(setattr, redirect.shared, "demand", None)
            redirect.shared.demand = isolate
        yield isolate


def _end_run_if_dead(request: pytest.FixtureRequest, running_app: RunningApp) -> None:
    try:
        running_app.raise_if_dead()
    except LifespanError as died:
        stop_run(
            request.config,
            f"{died}\nIt died during {request.node.nodeid}, and the tests after it would have run without it.",
        )


@pytest.fixture(scope="session")
def application_engine(running_app: RunningApp, _redirect: Redirect) -> AsyncEngine:
    """The application's engine that `engine` and `db_session` use: the first that it has made for PostgreSQL."""
    if (engine := _redirect.engines.first()) is not None:
        return AsyncEngine(engine)
    # It may make one in each request.
    return create_async_engine(f"postgresql+{installed_driver()}://")


@pytest.fixture(scope="session")
def _engine_of_tests(application_engine: AsyncEngine) -> AsyncEngine:
    """The same pool, known to be a test's, whose URL says where it leads to."""
    return application_engine.execution_options(**{OF_TEST: True})


@pytest.fixture
def engine(
    _isolated: Callable[[], None], application_engine: AsyncEngine, request: pytest.FixtureRequest
) -> AsyncEngine:
    """The application's engine, on this test's database: in a savepoint test, in the test's transaction."""
    _isolated()
    engine = application_engine.execution_options()
    engine.sync_engine.url = request.node.stash[TEST_URL].set(drivername=engine.url.drivername)
    return engine


@pytest.fixture
async def db_session(
    anyio_backend: str, _isolated: Callable[[], None], _engine_of_tests: AsyncEngine, request: pytest.FixtureRequest
) -> AsyncIterator[AsyncSession]:
    """The test's own session, never the application's: it sees what the application has committed, and nothing else."""
    _isolated()
    async with FreshSession(_engine_of_tests, expire_on_commit=False) as session:
        yield session
        request.config.stash[REDIRECT].shared.transactions.is_ending = True


def report_refused(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Say first what the isolation has refused: what else went wrong follows from it."""
    refused = item.config.stash[REDIRECT].refusals.messages
    # A set-up that has caught it goes on to the test, whose report says so.
    is_shown = call.when != "setup" or call.excinfo is not None
    if is_shown and refused and not item.stash.get(IS_REPORTED, False):
        item.stash[IS_REPORTED] = True
        report.outcome = "failed"
        report.longrepr = "\n\n".join([refused[0], *_what_followed(item, call, report)])
    if call.when == "teardown":
        refused.clear()


def _what_followed(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> list[str]:
    if call.excinfo is None:
        return ["The error was caught, and the test went on."]
    if call.when != "teardown" and not call.excinfo.errisinstance(IsolationError):
        return [f"What followed from it:\n\n{report.longreprtext}"]
    # SQLAlchemy's forty frames say nothing; those of the project do.
    return ["\n".join(places(call.excinfo.value, item.config.rootpath))]
