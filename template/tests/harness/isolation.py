"""What each test may write to: a transaction that is rolled back, or, with `@pytest.mark.own_database`, a database
of its own.

`engine` and `db_session` are the same two names either way; the mark decides. A test that reaches the application
at all, through any fixture, is isolated before that fixture runs. What broke the isolation is reported first, since
all else that went wrong follows from it.
"""

from collections.abc import Generator, Iterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from .explanations import explanation_of
from .lifespan import LifespanError, RunningApp
from .places import places
from .savepoint import OUTER_TRANSACTION
from .server import stop_run
from .transaction import IsolationError, OuterTransaction

MARK = "own_database: give this test a database of its own, with real commits and as many connections as it likes."


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARK)


def _has_own_database(request: pytest.FixtureRequest) -> bool:
    return request.node.get_closest_marker("own_database") is not None


@pytest.fixture(autouse=True)
def isolated_if_connected(request: pytest.FixtureRequest) -> None:
    """Isolates every test that reaches the application; autouse, so that it comes before the fixtures of that test."""
    if "running_app" in request.fixturenames:
        request.getfixturevalue("isolated")


@pytest.fixture
def isolated(request: pytest.FixtureRequest, running_app: RunningApp) -> Iterator[None]:
    """A transaction or a database for this test, which the application's sessions use while it runs."""
    request.getfixturevalue("own_engine" if _has_own_database(request) else "savepoint_connection")
    yield
    try:
        running_app.raise_if_dead()
    except LifespanError as died:
        stop_run(
            request.config,
            f"{died}\nIt died during {request.node.nodeid}, and the tests after it would have run without it.",
        )


@pytest.fixture
def engine(request: pytest.FixtureRequest, isolated: None) -> AsyncEngine:
    """An engine on this test's database; its connections are outside a savepoint test's transaction."""
    name = "own_engine" if _has_own_database(request) else "worker_engine"
    engine: AsyncEngine = request.getfixturevalue(name)
    return engine


@pytest.fixture
def db_session(request: pytest.FixtureRequest, isolated: None) -> AsyncSession:
    """The test's own session, never the application's: it sees what the application has committed, and nothing else."""
    name = "own_session" if _has_own_database(request) else "savepoint_session"
    session: AsyncSession = request.getfixturevalue(name)
    return session


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    outer = item.stash.get(OUTER_TRANSACTION, None)
    if call.when != "setup" and outer is not None and outer.violations and not outer.is_reported:
        outer.is_reported = True
        report.outcome = "failed"
        report.longrepr = "\n\n".join([outer.violations[0], *_what_followed(item, call, report)])
    elif outer is not None and report.failed and (why := _why(outer, call)) is not None:
        report.longrepr = f"{why}\n\n{report.longreprtext}"
    return report


def _why(outer: OuterTransaction, call: pytest.CallInfo[None]) -> str | None:
    return None if call.excinfo is None else explanation_of(call.excinfo.value, outer)


def _what_followed(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> list[str]:
    if call.excinfo is None:
        return ["The error was caught, and the test went on."]
    if call.when == "call" and not call.excinfo.errisinstance(IsolationError):
        return [f"What followed from it:\n\n{report.longreprtext}"]
    # SQLAlchemy's forty frames say nothing; those of the project do.
    return ["\n".join(places(call.excinfo.value, item.config.rootpath))]
