"""What each test may write to: a transaction that is rolled back, or, with `@pytest.mark.own_database`, a database
of its own.

The mark isolates by itself, whatever fixtures the test takes. A test without it is isolated if it reaches the
application by a fixture, before that fixture runs; or else when its first connection is asked for. What broke the
isolation is reported first, since all else that went wrong follows from it.
"""

from collections.abc import AsyncIterator, Iterator

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
from .savepoint import TEST_URL, on_demand

MARK = "own_database: give this test a database of its own, with real commits and as many connections as it likes."
IS_REPORTED = pytest.StashKey[bool]()


def has_own_database(item: pytest.Item) -> bool:
    """Whether the test is marked so."""
    return item.get_closest_marker("own_database") is not None


@pytest.fixture(autouse=True)
def _isolated_if_connected(request: pytest.FixtureRequest) -> Iterator[None]:
    """Isolates every test that reaches a database; autouse, so that it comes before the fixtures of that test."""
    has_own = has_own_database(request.node)
    # What a driver is asked for by hand is outside of a savepoint test's transaction.
    with request.config.stash[REDIRECT].refusing(None if has_own else BY_HAND):
        if has_own or "running_app" in request.fixturenames:
            request.getfixturevalue("_isolated")
            yield
        else:
            with on_demand(request):
                yield


@pytest.fixture
def _isolated(request: pytest.FixtureRequest) -> Iterator[None]:
    """A transaction or a database for this test, which the application's engines use while it runs."""
    # A test that only has the mark need not have an application.
    running_app = request.getfixturevalue("running_app") if "running_app" in request.fixturenames else None
    request.getfixturevalue("_own_pools" if has_own_database(request.node) else "_savepoint")
    yield
    if running_app is not None:
        _end_run_if_dead(request, running_app)


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
def engine(_isolated: None, application_engine: AsyncEngine, request: pytest.FixtureRequest) -> AsyncEngine:
    """The application's engine, on this test's database: in a savepoint test, in the test's transaction."""
    engine = application_engine.execution_options()
    engine.sync_engine.url = request.node.stash[TEST_URL].set(drivername=engine.url.drivername)
    return engine


@pytest.fixture
async def db_session(
    anyio_backend: str, _isolated: None, _engine_of_tests: AsyncEngine, _redirect: Redirect
) -> AsyncIterator[AsyncSession]:
    """The test's own session, never the application's: it sees what the application has committed, and nothing else."""
    async with FreshSession(_engine_of_tests, expire_on_commit=False) as session:
        yield session
        _redirect.shared.transactions.is_ending = True


def report_refused(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Say first what the isolation has refused: what else went wrong follows from it."""
    refused = item.config.stash[REDIRECT].refusals.messages
    if call.when != "setup" and refused and not item.stash.get(IS_REPORTED, False):
        item.stash[IS_REPORTED] = True
        report.outcome = "failed"
        report.longrepr = "\n\n".join([refused[0], *_what_followed(item, call, report)])
    if call.when == "teardown":
        refused.clear()


def _what_followed(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> list[str]:
    if call.excinfo is None:
        return ["The error was caught, and the test went on."]
    if call.when == "call" and not call.excinfo.errisinstance(IsolationError):
        return [f"What followed from it:\n\n{report.longreprtext}"]
    # SQLAlchemy's forty frames say nothing; those of the project do.
    return ["\n".join(places(call.excinfo.value, item.config.rootpath))]
