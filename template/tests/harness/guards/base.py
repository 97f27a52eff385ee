"""Guards: what no test may do or leave behind. All guards are on by default.

A guard fails the test and its message says how to allow the code; the test's own failure is shown below, since it is
often the cause. Skipped and xfailed tests keep their outcome. A guard restores what the test has changed in `finally`.
`disabled_guards` of pyproject.toml turns guards off. `@pytest.mark.allow_guard` allows something in one test: the guard
does not fire, but it restores. A guard that the baseline lists for a test does not fail it.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..connections.process import REDIRECT
from ..core.baseline import baseline_of
from ..core.project import is_governed
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
        formerly: its name before 0.4, which works until 1.0.
        is_repeatable: whether it fires in every run of the same code, and refuses nothing. If not, the baseline's
            entries allow what they name, and are kept when the guard does not fire.
        can_be_known: whether a baseline can let it be: not if the code then harms later tests.
    """

    name: str
    why: str
    instead: str
    fixtures: Around | None = None
    call: Around | None = None
    formerly: str | None = None
    is_repeatable: bool = True
    can_be_known: bool = True

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
        """What the test's marks allow: None without a mark, () for everything, or the listed names.

        Of a guard that is not repeatable, an entry of the baseline allows the same as a mark.
        """
        marks = [mark.args[1:] for mark in marks_of(item) if mark.args[0] in self._names]
        if not self.is_repeatable:
            marks += [tuple(parts[1:]) for parts in _baseline_entries(item) if parts[0] == self.name]
        if not marks:
            return None
        return () if () in marks else tuple(what for mark in marks for what in mark)

    def applies_to(self, item: pytest.Item) -> bool:
        """Whether it is on, the test is governed, and its marks do not allow everything."""
        return is_governed(item) and self.is_on(item.config) and self.allowed(item) != ()

    def fires(self, item: pytest.Item, what: str, allow: str = "", key: str | None = None) -> None:
        """Fail the test at the end of the current phase, unless the guard is off, or the test's marks allow it.

        Args:
            item: the test.
            what: what happened, and the place on further lines.
            allow: the second argument of the mark, if it can be allowed by name, such as `api.example.com`.
            key: the name in the baseline, if it differs: the same in each run.
        """
        if not self.applies_to(item):
            return
        named = f', "{allow}"' if allow else ""
        instead = without_await(self.instead) if item.config.stash[REDIRECT].is_synchronous else self.instead
        text = (
            f"guard {self.name}: {what}\n{self.why}\n{instead}\n"
            f'Allow it here: @pytest.mark.allow_guard("{self.name}"{named})\n'
            f'Allow it everywhere: disabled_guards = ["{self.name}"] under [tool.savepoint] in pyproject.toml'
        )
        parts = [self.name, *filter(None, [allow if key is None else key])]
        item.stash.setdefault(FIRED, []).append(Fired(text, ": ".join(parts) if self.can_be_known else None))


@dataclass(frozen=True)
class Fired:
    """A message that fails a test.

    Args:
        text: the message.
        key: the guard, and what it names, for the baseline; None for what no baseline lets be.
    """

    text: str
    key: str | None = None


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
FIRED = pytest.StashKey[list[Fired]]()
# The guards that are on.
ENABLED = pytest.StashKey[list[Guard]]()


def marks_of(item: pytest.Item) -> list[pytest.Mark]:
    """The marks of a test that allow guards."""
    return [*item.iter_markers("allow_guard"), *item.iter_markers("allow")]


def _baseline_entries(item: pytest.Item) -> list[list[str]]:
    """The entries of the baseline for a test, each split into the guard and what it names."""
    baseline = baseline_of(item.config)
    return [key.split(": ", 1) for key in baseline.known("guards", id_of(item))] if baseline.guards else []


def id_of(item: pytest.Item) -> str:
    """The id of a test, without the group that `--dist loadgroup` adds."""
    return f"{item.parent.nodeid if item.parent else ''}::{item.name}"


def enabled(config: pytest.Config) -> list[Guard]:
    """The guards that are on; kept, since each test needs them twice."""
    if ENABLED not in config.stash:
        config.stash[ENABLED] = [guard for guard in GUARDS.values() if guard.is_on(config)]
    return config.stash[ENABLED]


def _enabled_for(item: pytest.Item) -> list[Guard]:
    return enabled(item.config) if is_governed(item) else []


@contextmanager
def _entered(item: pytest.Item, arounds: list[Around | None]) -> Iterator[None]:
    with ExitStack() as stack:
        for around in filter(None, arounds):
            stack.enter_context(around(item))
        yield


@pytest.fixture(autouse=True)
def _guarded(request: pytest.FixtureRequest) -> Iterator[None]:
    """Surrounds all function-scoped fixtures of a test: it is autouse and requests no other, so it is set up first."""
    with _entered(request.node, [guard.fixtures for guard in _enabled_for(request.node)]):
        yield


def entered_call(item: pytest.Item) -> AbstractContextManager[None]:
    """Surrounds the test function."""
    return _entered(item, [guard.call for guard in _enabled_for(item)])
