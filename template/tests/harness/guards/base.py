"""Guards: what no test may do or leave behind, whatever it tests. All are on; each says why, and how to allow it.

A guard fires by name. The test fails, its own failure shown after what the guard says, since that is mostly the
cause; a test that is skipped, or expected to fail, stays so. However a test ends, a guard restores in `finally` what
the test has changed. `disabled_guards` of pyproject.toml turns guards off for good, and `@pytest.mark.allow_guard`
allows one thing to one test.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from ..core.deprecated import warn
from ..core.settings import settings_of

# What surrounds a test: entered before it, and left when it is over, with complaints by `Guard.fires`.
Around = Callable[[pytest.Item], AbstractContextManager[None]]


@dataclass(frozen=True)
class Guard:
    """A rule for all tests.

    Args:
        name: as it stands in `disabled_guards` and in the mark.
        why: one sentence: what goes wrong where nobody looks.
        instead: one sentence: what to do.
        fixtures: entered before the first function-scoped fixture of a test, and left after the last of them is over.
        call: entered before the test's own function, and left right after it, while its fixtures are still there.
        formerly: its name before 0.4, which works until 0.5.
    """

    name: str
    why: str
    instead: str
    fixtures: Around | None = None
    call: Around | None = None
    formerly: str | None = None

    def __post_init__(self) -> None:
        GUARDS[self.name] = self

    @property
    def _names(self) -> set[str | None]:
        return {self.name, self.formerly}

    def is_on(self, config: pytest.Config) -> bool:
        """Whether the project wants it."""
        return not self._names.intersection(settings_of(config).disabled_guards)

    def allowed(self, item: pytest.Item) -> tuple[str, ...] | None:
        """What the test's marks allow: None without a mark, () for everything, or the things that are named."""
        marks = [mark.args[1:] for mark in _marks(item) if mark.args[0] in self._names]
        if not marks:
            return None
        return () if () in marks else tuple(what for mark in marks for what in mark)

    def watches(self, item: pytest.Item) -> bool:
        """Whether it looks at this test at all."""
        return self.is_on(item.config) and self.allowed(item) != ()

    def fires(self, item: pytest.Item, what: str, allow: str = "") -> None:
        """Fail the test, when the phase that runs is over.

        Args:
            item: the test.
            what: it did; one line, or several.
            allow: the rest of the mark's arguments if it can be allowed by name, such as `api.example.com`.
        """
        named = f', "{allow}"' if allow else ""
        mark = f'@pytest.mark.allow_guard("{self.name}"{named})'
        item.stash.setdefault(FIRED, []).append(
            f"guard {self.name}: {what}\n"
            f"Why it matters: {self.why}\nInstead: {self.instead}\n"
            f"To allow it here: {mark}\n"
            f'Everywhere, under [tool.savepoint] of pyproject.toml: disabled_guards = ["{self.name}"]'
        )


GUARDS: dict[str, Guard] = {}
FIRED = pytest.StashKey[list[str]]()
# Of the test's set-up, then of the test itself; in its tear-down it still stands.
OUTCOME = pytest.StashKey[str]()
WATCHING = pytest.StashKey[list[Guard]]()


def _marks(item: pytest.Item) -> list[pytest.Mark]:
    # Asked for by each guard of each test, and mostly there is none.
    if not item.own_markers and item.get_closest_marker("allow_guard") is item.get_closest_marker("allow") is None:
        return []
    return [*item.iter_markers("allow_guard"), *item.iter_markers("allow")]


def check_names(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse names that no guard has: a misspelled one would turn off nothing, without a word."""
    former = {guard.formerly: guard.name for guard in GUARDS.values()}
    used = [("disabled_guards in pyproject.toml", name) for name in settings_of(config).disabled_guards]
    for item in items:
        for mark in _marks(item):
            name = mark.args[0] if mark.args else ""
            used.append((f"{item.nodeid}: @pytest.mark.{mark.name}", name))
            if mark.name == "allow":
                new = former.get(name, name)
                warn(config, f'@pytest.mark.allow("{name}")', f'Write: @pytest.mark.allow_guard("{new}")')
    for place, name in used:
        if name in former and "allow" not in place:
            warn(config, f'guard "{name}"', f"Write: {former[name]}")
    if unknown := [(place, name) for place, name in used if name not in GUARDS and name not in former]:
        names = ", ".join(sorted(GUARDS))
        raise pytest.UsageError(
            "\n".join(f"{place}: unknown guard {name!r}. Guards: {names}" for place, name in unknown)
        )


def _watching(item: pytest.Item) -> list[Guard]:
    # Asked for twice by each test.
    if WATCHING not in item.stash:
        item.stash[WATCHING] = [guard for guard in GUARDS.values() if guard.watches(item)]
    return item.stash[WATCHING]


@contextmanager
def _entered(item: pytest.Item, arounds: list[Around | None]) -> Iterator[None]:
    with ExitStack() as stack:
        for around in arounds:
            if around is not None:
                stack.enter_context(around(item))
        yield


@pytest.fixture(autouse=True)
def _guarded(request: pytest.FixtureRequest) -> Iterator[None]:
    """Surrounds all function-scoped fixtures of a test: the first of them, since it is autouse and has no other."""
    with _entered(request.node, [guard.fixtures for guard in _watching(request.node)]):
        yield


def entered_call(item: pytest.Item) -> AbstractContextManager[None]:
    """Surrounds the test's own function."""
    return _entered(item, [guard.call for guard in _watching(item)])


def report_fired(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Fail a test if a guard has fired; what its own failure says stands below."""
    fired = item.stash.get(FIRED, [])
    if fired and call.when != "setup":
        if "skipped" not in (report.outcome, item.stash.get(OUTCOME, "")):
            its_own = [report.longreprtext] if report.failed else []
            report.outcome = "failed"
            report.longrepr = "\n\n".join([*fired, *its_own])
        fired.clear()
    if call.when != "teardown":
        item.stash[OUTCOME] = report.outcome
