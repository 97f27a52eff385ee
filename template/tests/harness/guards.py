"""Guards: what no test may do or leave behind, whatever it tests. All are on; each says why, and how to allow it.

A guard fires by name. The test fails, its own failure shown after what the guard says, since that is mostly the
cause; a test that is skipped, or expected to fail, stays so. However a test ends, a guard restores in `finally` what
the test has changed. `guards_off` of pyproject.toml turns guards off for good, and `@pytest.mark.allow` allows one
thing to one test.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest

MARK = "allow(guard, *what): let one guard pass over this test, or over what is named."

# What surrounds a test: entered before it, and left when it is over, with complaints by `Guard.fires`.
Around = Callable[[pytest.Item], AbstractContextManager[None]]


@dataclass(frozen=True)
class Guard:
    """A rule for all tests.

    Args:
        name: as it stands in `guards_off` and in the mark.
        why: one sentence: what goes wrong where nobody looks.
        instead: one sentence: what to do.
        fixtures: entered before the first function-scoped fixture of a test, and left after the last of them is over.
        call: entered before the test's own function, and left right after it, while its fixtures are still there.
    """

    name: str
    why: str
    instead: str
    fixtures: Around | None = None
    call: Around | None = None

    def __post_init__(self) -> None:
        GUARDS[self.name] = self

    def is_on(self, config: pytest.Config) -> bool:
        """Whether the project wants it."""
        return self.name not in config.getini("guards_off")

    def allowed(self, item: pytest.Item) -> tuple[str, ...] | None:
        """What the test's marks allow: None without a mark, () for everything, or the things that are named."""
        if item.get_closest_marker("allow") is None:
            return None
        marks = [mark.args[1:] for mark in item.iter_markers("allow") if mark.args[0] == self.name]
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
        mark = f'@pytest.mark.allow("{self.name}"{named})'
        item.stash.setdefault(FIRED, []).append(
            f"guard {self.name}: {what}\n"
            f"Why it matters: {self.why}\nInstead: {self.instead}\n"
            f'To allow it here: {mark}. Everywhere: guards_off = ["{self.name}"] in pyproject.toml.'
        )


GUARDS: dict[str, Guard] = {}
FIRED = pytest.StashKey[list[str]]()
# Of the test's set-up, then of the test itself; in its tear-down it still stands.
OUTCOME = pytest.StashKey[str]()
WATCHING = pytest.StashKey[list[Guard]]()


@dataclass
class _Unknown:
    """Names that no guard has, and where they stand."""

    places: list[str] = field(default_factory=list)

    def see(self, name: object, place: str) -> None:
        if name not in GUARDS:
            self.places.append(f"{place}: there is no guard {name!r}; there are {', '.join(sorted(GUARDS))}")

    def raise_if_any(self) -> None:
        if self.places:
            raise pytest.UsageError("\n".join(self.places))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("guards_off", "Guards that are not wanted, by name.", type="args", default=[])


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARK)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse names that no guard has: a misspelled one would turn off nothing, without a word."""
    unknown = _Unknown()
    for name in config.getini("guards_off"):
        unknown.see(name, "guards_off in pyproject.toml")
    for item in items:
        for mark in item.iter_markers("allow"):
            unknown.see(mark.args[0] if mark.args else "", f"{item.nodeid}: @pytest.mark.allow")
    unknown.raise_if_any()


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
def guarded(request: pytest.FixtureRequest) -> Iterator[None]:
    """Surrounds all function-scoped fixtures of a test: the first of them, since it is autouse and has no other."""
    with _entered(request.node, [guard.fixtures for guard in _watching(request.node)]):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    with _entered(item, [guard.call for guard in _watching(item)]):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    fired = item.stash.get(FIRED, [])
    if fired and call.when != "setup":
        if "skipped" not in (report.outcome, item.stash.get(OUTCOME, "")):
            its_own = [report.longreprtext] if report.failed else []
            report.outcome = "failed"
            report.longrepr = "\n\n".join([*fired, *its_own])
        fired.clear()
    if call.when != "teardown":
        item.stash[OUTCOME] = report.outcome
    return report
