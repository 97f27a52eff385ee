"""Rows that a fixture with a wider scope writes by a synchronous engine: in every test while the fixture lives.

They are committed to the worker's database when the fixture is set up, and the database is copied for own_database
tests. After the fixture's end, the database is replaced by a copy without them. What the end of the fixture itself
writes is rolled back.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest

from ..app.sessions import active_sessions, is_of_lifespan, unflushed_models
from ..app.testclient_requests import track
from ..connections.process import REDIRECT
from ..core.run import stop_run
from .databases import WorkerDatabase
from .own_database import CLONES
from .synchronous_end import OPEN_SESSIONS, OpenSessions, is_in_block
from .template import BEFORE_END, DATABASES

HARNESS = __name__.rpartition(".database.")[0]
# From the widest to the narrowest.
SCOPES = ("session", "package", "module", "class")

NARROWER = (
    "The fixture `{0}` with scope {1} wrote to the database after the fixture `{2}` with scope {3}, whose rows are "
    "gone earlier. Let `{2}` request `{0}`, so that `{0}` is set up first."
)
IN_USE = (
    "The fixture `{}` with scope {} wrote to the database, and its rows cannot be copied, since a separate connection "
    "to the database is open. Write these rows in the fixture `seed_data`."
)


class FixtureRows:
    """The fixtures that have written rows, in the order in which they were set up.

    Attributes:
        is_stale: whether the database still has the rows of a fixture that has ended.
        is_connecting: whether the test database is being created for a fixture that connects.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._redirect = config.stash[REDIRECT]
        self._written: list[tuple[pytest.FixtureDef[Any], str]] = []
        self._database: WorkerDatabase | None = None
        self.is_stale = self.is_connecting = self._is_tearing_down = False

    @contextmanager
    def around_setup(self, fixture: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Iterator[None]:
        """Commit what the setup writes in this block, and prepare the end of the fixture."""
        track(self._config)
        if self._redirect.synchronous.transactions.mode == "seeding":
            # The setup of another fixture requests this one, and has connected.
            if self._redirect.synchronous.has_changes():
                # The rows of both end with the other fixture.
                yield
                return
            self._end(is_commit=False)
        if fixture.scope == "session" and self._redirect.is_listening and self._redirect.is_synchronous:
            finish: Any = fixture.finish
            self._config.stash.setdefault(BEFORE_END, ExitStack()).callback(finish, request)
        # Now: a connection that is in use when the fixture connects must stay open.
        self.restore_if_stale()
        has_begun = False

        def begin() -> None:
            nonlocal has_begun
            has_begun = self.is_connecting = True
            try:
                self._database = request.getfixturevalue("_worker_database")
            finally:
                self.is_connecting = False
            self._redirect.begin("seeding")

        # The finalizer that is added first runs last.
        fixture.addfinalizer(lambda: self._end_teardown(fixture))
        with self._seeding(begin):
            try:
                yield
                if has_begun:
                    self._keep(fixture)
                    self._config.stash[OPEN_SESSIONS] = OpenSessions(self._redirect)
            except BaseException:
                if has_begun:
                    self._end(is_commit=False)
                raise
            fixture.addfinalizer(self._begin_teardown)

    @contextmanager
    def _seeding(self, begin: Any) -> Iterator[None]:
        # A test that has not connected yet may request the fixture.
        before = self._redirect.synchronous.isolate
        self._redirect.synchronous.isolate = begin
        try:
            yield
        finally:
            self._redirect.synchronous.isolate = before

    def _begin_teardown(self) -> None:
        def begin() -> None:
            if self._redirect.is_shared:
                self._is_tearing_down = True
                self._redirect.begin("test")

        self._redirect.synchronous.isolate = begin

    def _end_teardown(self, fixture: pytest.FixtureDef[Any]) -> None:
        self._redirect.synchronous.isolate = None
        if self._is_tearing_down:
            self._is_tearing_down = False
            self._end(is_commit=False)
        self._forget(fixture)

    def _end(self, *, is_commit: bool) -> None:
        if (wrong := self._redirect.end_synchronous(is_commit=is_commit)) is not None:
            pytest.fail(wrong, pytrace=False)

    def _keep(self, fixture: pytest.FixtureDef[Any]) -> None:
        for session, activity in list(active_sessions(None)):
            # A session that stays open: its changes would be lost with the first test.
            if not is_of_lifespan(session) and (activity.written or unflushed_models(session)):
                session.flush() if is_in_block(session) else session.commit()
        narrower = self._narrower(fixture.scope)
        has_written = self._redirect.synchronous.has_changes()
        self._end(is_commit=narrower is None)
        if has_written and narrower is not None:
            names = fixture.argname, fixture.scope, narrower.argname, narrower.scope
            pytest.fail(NARROWER.format(*names), pytrace=False)
        if has_written:
            databases = self._config.stash[DATABASES]
            self._written.append((fixture, databases.source))
            try:
                with self._disconnected() as name:
                    source = databases.clone(name)
                self._use(source)
            except psycopg.errors.ObjectInUse:
                stop_run(self._config, IN_USE.format(fixture.argname, fixture.scope))

    def _narrower(self, scope: str) -> pytest.FixtureDef[Any] | None:
        found = (fixture for fixture, _ in self._written if SCOPES.index(fixture.scope) > SCOPES.index(scope))
        return next(found, None)

    def _forget(self, fixture: pytest.FixtureDef[Any]) -> None:
        for index, (written, source) in enumerate(self._written):
            if written is fixture:
                self._use(source)
                self.is_stale = True
                del self._written[index:]
                return

    def restore_if_stale(self) -> None:
        """Replace the database by a copy without the rows of fixtures that have ended."""
        if self.is_stale:
            self.is_stale = False
            with self._disconnected() as name:
                self._config.stash[DATABASES].renew(name)

    @contextmanager
    def _disconnected(self) -> Iterator[str]:
        """The name of the worker's database, to which no engine is connected in the block."""
        assert self._database is not None, "a fixture has written to it"
        OpenSessions(self._redirect).roll_back()
        self._redirect.engines.replace_pools()
        with self._redirect.synchronous.closed():
            yield self._database.name

    def _use(self, source: str) -> None:
        self._config.stash[DATABASES].source = source
        if (clones := self._config.stash.get(CLONES, None)) is not None:
            clones.use(source)


ROWS = pytest.StashKey[FixtureRows]()


def configure(config: pytest.Config) -> None:
    config.stash[ROWS] = FixtureRows(config)


def is_of_harness(fixture: pytest.FixtureDef[Any]) -> bool:
    """Whether the harness itself defines a fixture."""
    return str(getattr(fixture.func, "__module__", "")).startswith(f"{HARNESS}.")
