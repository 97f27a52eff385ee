"""Guards: what no test may do or leave behind. All guards are on by default.

A guard fails the test and its message says how to allow the code; the test's own failure is shown below, since it is
often the cause. Skipped and xfailed tests keep their outcome. A guard restores what the test has changed in `finally`.
`disabled_guards` of pyproject.toml turns guards off. `@pytest.mark.allow_guard` allows something in one test: the guard
does not fire, but it restores.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..connections.process import REDIRECT
from ..core.deprecated import warn
from ..core.settings import settings_of
from ..core.source_lines import is_of_project
from ..transaction.synchronous_transactions import without_await

# A context manager around a test, which calls `Guard.fires`.
Around = Callable[[pytest.Item], AbstractContextManager[None]]


@dataclass(frozen=True)
class Guard:
    """A rule for all tests.

    Args:
        name: its name in `disabled_guards` and in the mark.
        why: a sentence: what goes wrong otherwise.
        instead: a sentence: what to do.
        fixtures: surrounds the function-scoped fixtures of a test.
        call: surrounds the test function, inside of its fixtures.
        formerly: its name before 0.4, which works until 0.5.
    """

    name: str
    why: str
    instead: str
    fixtures: Around | None = None
    call: Around | None = None
    formerly: str | None = None

    def __post_init__(self) -> None:
        if self.name in GUARDS:
            raise ValueError(f"there is another guard named {self.name!r}")
        GUARDS[self.name] = self

    @property
    def _names(self) -> set[str | None]:
        return {self.name, self.formerly}

    def is_on(self, config: pytest.Config) -> bool:
        """Whether the project has not disabled it."""
        return not self._names.intersection(settings_of(config).disabled_guards)

    def allowed(self, item: pytest.Item) -> tuple[str, ...] | None:
        """What the test's marks allow: None without a mark, () for everything, or the listed names."""
        marks = [mark.args[1:] for mark in _marks(item) if mark.args[0] in self._names]
        if not marks:
            return None
        return () if () in marks else tuple(what for mark in marks for what in mark)

    def applies_to(self, item: pytest.Item) -> bool:
        """Whether it is on, and the test's marks do not allow everything."""
        return self.is_on(item.config) and self.allowed(item) != ()

    def fires(self, item: pytest.Item, what: str, allow: str = "") -> None:
        """Fail the test at the end of the current phase, unless the guard is off or the test's marks allow it.

        Args:
            item: the test.
            what: what happened, and the place on further lines.
            allow: the second argument of the mark, if it can be allowed by name, such as `api.example.com`.
        """
        if not self.applies_to(item):
            return
        named = f', "{allow}"' if allow else ""
        is_synchronous = item.config.stash[REDIRECT].is_synchronous
        instead = without_await(self.instead) if is_synchronous else self.instead
        item.stash.setdefault(FIRED, []).append(
            f"guard {self.name}: {what}\n{self.why}\n{instead}\n"
            f'Allow it here: @pytest.mark.allow_guard("{self.name}"{named})\n'
            f'Allow it everywhere: disabled_guards = ["{self.name}"] under [tool.savepoint] in pyproject.toml'
        )


class CurrentTest:
    """The running test, for a guard that is called by events; to be passed to `Guard` as `fixtures`."""

    def __init__(self) -> None:
        self._item: pytest.Item | None = None
        self._reported: set[str] = set()

    @contextmanager
    def __call__(self, item: pytest.Item) -> Iterator[None]:
        self._item = item
        self._reported.clear()
        try:
            yield
        finally:
            self._item = None

    @property
    def is_guarded(self) -> bool:
        """Whether a test is running, and the guard is on."""
        return self._item is not None

    def is_of_project(self, file: str) -> bool:
        """Whether a source file belongs to the project."""
        return self._item is not None and is_of_project(Path(file), self._item.config.rootpath)

    def fires(self, guard: Guard, what: str, allow: str) -> None:
        """Fail the test, unless its marks allow this or the same message was reported before."""
        if self._item is None or allow in (guard.allowed(self._item) or ()) or what in self._reported:
            return
        self._reported.add(what)
        guard.fires(self._item, what, allow)


GUARDS: dict[str, Guard] = {}
FIRED = pytest.StashKey[list[str]]()
# The outcome of the setup, then of the call.
OUTCOME = pytest.StashKey[str]()
# The guards that are on.
ENABLED = pytest.StashKey[list[Guard]]()


def _marks(item: pytest.Item) -> list[pytest.Mark]:
    return [*item.iter_markers("allow_guard"), *item.iter_markers("allow")]


def check_names(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse unknown names of guards: a misspelled name would have no effect."""
    former = {guard.formerly: guard.name for guard in GUARDS.values()}
    used = [("disabled_guards in pyproject.toml", name) for name in settings_of(config).disabled_guards]
    for item in items:
        for mark in _marks(item):
            name = mark.args[0] if mark.args else ""
            used.append((f"{item.nodeid}: @pytest.mark.{mark.name}", name))
            if mark.name == "allow":
                place = f"{item.nodeid}: @pytest.mark.allow{mark.args}"
                arguments = ", ".join(map(repr, [former.get(name, name), *mark.args[1:]])).replace("'", '"')
                warn(config, place, f"Write: @pytest.mark.allow_guard({arguments})")
    for place, name in used:
        if name in former and "allow" not in place:
            warn(config, f'guard "{name}"', f"Write: {former[name]}")
    if unknown := [(place, name) for place, name in used if name not in GUARDS and name not in former]:
        names = ", ".join(sorted(GUARDS))
        raise pytest.UsageError(
            "\n".join(f"{place}: unknown guard {name!r}. Guards: {names}" for place, name in unknown)
        )


def _enabled(config: pytest.Config) -> list[Guard]:
    # Needed twice for each test.
    if ENABLED not in config.stash:
        config.stash[ENABLED] = [guard for guard in GUARDS.values() if guard.is_on(config)]
    return config.stash[ENABLED]


@contextmanager
def _entered(item: pytest.Item, arounds: list[Around | None]) -> Iterator[None]:
    with ExitStack() as stack:
        for around in arounds:
            if around is not None:
                stack.enter_context(around(item))
        yield


@pytest.fixture(autouse=True)
def _guarded(request: pytest.FixtureRequest) -> Iterator[None]:
    """Surrounds all function-scoped fixtures of a test: it is autouse and requests no other, so it is set up first."""
    with _entered(request.node, [guard.fixtures for guard in _enabled(request.config)]):
        yield


def entered_call(item: pytest.Item) -> AbstractContextManager[None]:
    """Surrounds the test function."""
    return _entered(item, [guard.call for guard in _enabled(item.config)])


def report_fired(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Fail a test if a guard has fired; the test's own failure is shown below."""
    fired = item.stash.get(FIRED, [])
    if fired and call.when != "setup":
        if "skipped" not in (report.outcome, item.stash.get(OUTCOME, "")):
            its_own = [report.longreprtext] if report.failed else []
            report.outcome = "failed"
            report.longrepr = "\n\n".join([*fired, *its_own])
        fired.clear()
    if call.when != "teardown":
        item.stash[OUTCOME] = report.outcome
