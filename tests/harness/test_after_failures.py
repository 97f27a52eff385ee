"""A failure is the failing test's alone: whatever a test was in the middle of, and however it ended, others pass.

Each guard and each fixture of the harness, as the project itself finds them, is used by tests that end in every way
there is; after each, tests look for what it may have left. All of them are one module, run in its order by one
process, and in a random order by two.
"""

import ast
import re
import shutil
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from tests.environment import Project, synced
from tests.harness.sample import Sample
from tests.rendering import ROOT, Render

# A run is made once for the tests that look at it.
pytestmark = pytest.mark.xdist_group("after failures")

CASES = Path(__file__).with_name("cases")


@dataclass(frozen=True)
class Case:
    """How a guard is made to fire.

    Args:
        lines: what a test does for that.
        fixtures: that it needs.
        in_fixtures: whether a fixture may do it too; a guard of the test's own function sees nothing there, and puts
            nothing back.
    """

    lines: str
    fixtures: str = "client"
    in_fixtures: bool = True


STRIPE = 'httpx.post("https://api.stripe.com/v1/{}", data={{"amount": 1, "currency": "eur", "confirm": "true"}})'

# By guard. A new one needs a line here.
FIRING = {
    "blocking_call": Case("await block()"),
    "leaked_contextvar": Case('TENANT.set("acme")', in_fixtures=False),
    "leaked_environ": Case('os.environ["LEFT"] = "1"'),
    "missing_idempotency_key": Case(STRIPE.format("payment_intents"), "mock_stripe, client"),
    "n_plus_one": Case('await client.get("/loops")'),
    "network": Case('with suppress(OSError): socket.create_connection(("192.0.2.1", 80))'),
    "escaped_commit": Case(
        'with suppress(Exception): create_engine("postgresql+psycopg://").connect()', in_fixtures=False
    ),
    "leaked_secret": Case('await client.post("/echo", json={"password": "correct horse"})'),
    "stale_settings_cache": Case('monkeypatch.setenv("DEFAULT_CURRENCY", "chf"); currency()', "monkeypatch, client"),
    "slow_test": Case(
        'monkeypatch.setattr("tests.harness.guards.slow_test.perf_counter", lambda: 1e9)', "monkeypatch, client", False
    ),
    "leaked_task": Case("KEPT.append(asyncio.create_task(asyncio.sleep(3600)))", in_fixtures=False),
    "unclosed_http_client": Case('await client.get("/unclosed")'),
    "uncommitted_changes": Case('await client.post("/forgets")'),
    "unhandled_stripe_request": Case(STRIPE.format("customers"), "mock_stripe, client"),
    "unused_stripe_mock": Case("pass", "mock_stripe, client", in_fixtures=False),
    "idle_in_transaction": Case('await client.get("/waits")'),
}

# What these would say of a test that has failed by itself explains nothing.
QUIET = {"stale_settings_cache", "slow_test", "unused_stripe_mock"}

# Allowed, these connect.
CONNECTING = {"escaped_commit", "network"}

# How a test may end, and what the report calls it.
ENDINGS = {
    "fails": ("assert False", "failure"),
    "skips": ('pytest.skip("not today")', "skipped"),
    "xfails": ('pytest.xfail("not yet")', "skipped"),
    "is_cancelled": ("raise asyncio.CancelledError", "failure"),
    "exits": ("raise SystemExit(3)", "failure"),
}
# How a fixture may.
BREAKS = {"fails": "assert False", "is_cancelled": "raise asyncio.CancelledError"}

MODULE = '''
import asyncio
import os
import socket
from contextlib import suppress
from contextvars import ContextVar

import httpx
import pytest
from sample.models import User
from sample.things import block, currency, router
from sqlalchemy import create_engine, func, select

TENANT: ContextVar[str] = ContextVar("tenant", default="nobody")
KEPT = []


@pytest.fixture(scope="session", autouse=True)
def routes(app):
    app.include_router(router)


async def look(client, db_session, app):
    """What any test may rely on."""
    assert "LEFT" not in os.environ
    assert currency() == "eur"
    currency.cache_clear()
    assert TENANT.get() == "nobody"
    assert app.dependency_overrides == {}
    assert [task for task in KEPT if not task.done()] == []
    assert await db_session.scalar(select(func.count()).select_from(User)) == 0
    new = {"email": "ada@example.com", "password": "correct horse battery"}
    assert (await client.post("/users", json=new)).status_code == 201
    assert await db_session.scalar(select(func.count()).select_from(User)) == 1
'''

# The database of its own comes first: a savepoint test would put in order what some tests have left.
CLEAN = """
@pytest.mark.own_database
async def test_{0}_in_a_database_of_its_own(client, db_session, app):
    await look(client, db_session, app)


async def test_{0}_in_a_savepoint(client, db_session, app):
    await look(client, db_session, app)
"""

IN_TEST = """
{mark}
async def {name}({fixtures}):
    {lines}
    {ending}
"""

IN_SET_UP = """
@pytest.fixture
async def broken_{name}({fixtures}):
    {lines}
    {ending}


{mark}
async def {name}(broken_{name}):
    pass
"""

IN_TEAR_DOWN = IN_SET_UP.replace("{lines}", "yield\n    {lines}")

# As `pytest --fixtures` lists those of the harness, and as it makes its guards.
FIXTURE = re.compile(r"^(\w+)(?: \[\w+ scope\])? -- tests/harness/", re.MULTILINE)
GUARD = re.compile(r'= Guard\(\s*"(\w+)"')


@dataclass(frozen=True)
class Wanted:
    """How a generated test has to end: what the report may call that, words of what it says, what it leaves unsaid."""

    kinds: tuple[str, ...]
    words: str = ""
    unsaid: str | None = None

    def is_met_by(self, said: dict[str, str]) -> bool:
        """Whether the report says so; a test that is skipped is nothing else beside that."""
        if self.unsaid is not None and any(self.unsaid in text for text in said.values()):
            return False
        is_clear = "skipped" not in self.kinds or said.keys() == {"skipped"}
        return is_clear and any(kind in said and self.words in said[kind] for kind in self.kinds)


Generated = tuple[str, dict[str, Wanted]]


@pytest.fixture(scope="module")
def project(
    render: Render, environments: Path, default_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Sample:
    """The sample with all there is, since guards and fixtures come with each answer."""
    folder = render.copy(environments / "all", project_name="Sample", package_name="sample")
    whole: Project = synced(folder, environments / "all-environment", default_python)
    sample = Sample.of(whole, tmp_path_factory.mktemp("after") / "sample")
    shutil.copy(CASES / "things.py", sample.folder / "src" / "sample" / "things.py")
    return sample


@pytest.fixture(scope="module")
def fixtures(project: Sample) -> list[str]:
    """All fixtures of the harness."""
    return sorted(set(FIXTURE.findall(project.pytest("--fixtures", "-v", COLUMNS="200").output)))


def test_each_guard_has_a_case(project: Sample) -> None:
    code = "".join(path.read_text() for path in (project.folder / "tests" / "harness").rglob("*.py"))

    assert sorted(GUARD.findall(code)) == sorted(FIRING)


def test_each_fixture_is_found(fixtures: list[str]) -> None:
    assert {"client", "db_session", "_guarded", "mock_stripe", "_own_pools", "queries", "migration_history"} <= set(
        fixtures
    )


def _of_guards() -> Generated:
    """Each guard, and how tests and fixtures end in which it fires, or would if it were not allowed; after each, one or
    two tests that have to pass.
    """
    wanted: dict[str, Wanted] = {}
    lines, alternately = [MODULE], _clean_tests()
    for guard, case in FIRING.items():
        clean = (CLEAN.format(f"{guard}_{number}") for number in count())
        # That it fires at all, during the test or at its end.
        endings = {"passes": ("", Wanted(("failure", "error"), f"guard {guard}: "))}
        unsaid = f"guard {guard}: " if guard in QUIET else None
        endings |= {ending: (line, Wanted((kind,), unsaid=unsaid)) for ending, (line, kind) in ENDINGS.items()}
        for ending, (line, outcome) in endings.items():
            name = f"test_{guard}_{ending}"
            wanted[name] = outcome
            lines += [IN_TEST.format(mark="", name=name, fixtures=case.fixtures, lines=case.lines, ending=line)]
            lines += [next(clean)]
        if guard not in CONNECTING:
            name, mark = f"test_{guard}_is_allowed", f'@pytest.mark.allow_guard("{guard}")'
            lines += [IN_TEST.format(mark=mark, name=name, fixtures=case.fixtures, lines=case.lines, ending="")]
            lines += [next(clean)]
        for name, test in _in_fixtures(guard, case.fixtures, case.lines, "") if case.in_fixtures else ():
            wanted[name] = Wanted(("error",))
            lines += [test, next(alternately)]
    return "\n\n".join(lines), wanted


def _of_fixtures(names: list[str]) -> Generated:
    """Each fixture, and how the tests and fixtures end that use it; after each of them, a test that has to pass."""
    wanted: dict[str, Wanted] = {}
    lines, alternately = [MODULE], _clean_tests()
    for fixture in names:
        mark = "@pytest.mark.own_database" if fixture.startswith("own_") else ""
        for ending, (line, kind) in ENDINGS.items():
            name = f"test_{fixture}_{ending}"
            wanted[name] = Wanted((kind,))
            lines += [IN_TEST.format(mark=mark, name=name, fixtures=fixture, lines="pass", ending=line)]
            lines += [next(alternately)]
        for name, test in _in_fixtures(fixture, fixture, "pass", mark):
            wanted[name] = Wanted(("error",))
            lines += [test, next(alternately)]
    return "\n\n".join(lines), wanted


def _clean_tests() -> Iterator[str]:
    return (test for number in count() for test in CLEAN.format(number).split("\n\n\n"))


def _in_fixtures(what: str, fixtures: str, lines: str, mark: str) -> Iterator[tuple[str, str]]:
    for phase, template in {"set_up": IN_SET_UP, "tear_down": IN_TEAR_DOWN}.items():
        for how, line in BREAKS.items():
            name = f"test_{what}_whose_{phase}_{how}"
            # A generator, of which the set-up comes before its yield.
            ending = f"{line}\n    yield" if phase == "set_up" else line
            yield name, template.format(mark=mark, name=name, fixtures=fixtures, lines=lines, ending=ending)


# What the report says of each test, by its kind; nothing of those that passed.
Said = dict[str, dict[str, str]]


# By project and arguments.
Runs = dict[tuple[Path, str, tuple[str, ...]], Said]


@pytest.fixture(scope="module")
def runs() -> Runs:
    return {}


def _run(runs: Runs, project: Sample, module: str, *arguments: str) -> Said:
    key = (project.folder, module, arguments)
    if key not in runs:
        runs[key] = _said(project, module, *arguments)
    return runs[key]


def _said(project: Sample, module: str, *arguments: str) -> Said:
    project.write("tests/test_generated.py", module)
    outcome = project.pytest("--junit-xml=report.xml", "--tb=native", *arguments)
    assert "INTERNALERROR" not in outcome.output, outcome.output
    report = ElementTree.parse(project.folder / "report.xml").getroot()  # noqa: S314 - our own pytest wrote it
    said: Said = defaultdict(dict)
    for case in report.iter("testcase"):
        parts = said[case.attrib["name"]]
        parts |= {part.tag: part.text or "" for part in case if part.tag in ("failure", "error", "skipped")}
    return said


ORDERS = {"in order": ["-p", "no:randomly"], "shuffled": ["-p", "randomly", "--randomly-seed=7", "-n", "2"]}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("what", ["guards", "fixtures"])
def test_a_failure_is_the_failing_tests_alone(
    project: Sample, fixtures: list[str], runs: Runs, what: str, order: str
) -> None:
    module, wanted = _of_guards() if what == "guards" else _of_fixtures(fixtures)

    said = _run(runs, project, module, *ORDERS[order])

    assert len(said) == module.count("async def test_")
    innocent = {name: parts for name, parts in said.items() if name not in wanted and parts}
    assert innocent == {}
    assert {name: dict(said[name]) for name, outcome in wanted.items() if not outcome.is_met_by(said[name])} == {}


# Both the order in which guards are configured, and the order in which a test enters them.
REVERSED = """
GUARDS.reverse()
for name in reversed(list(base.GUARDS)):
    base.GUARDS[name] = base.GUARDS.pop(name)
"""


def test_the_order_of_the_guards_has_no_effect(project: Sample, runs: Runs, tmp_path: Path) -> None:
    module, _ = _of_guards()
    other = Sample.of(project, tmp_path / "sample")
    plugin = other.folder / "tests" / "harness" / "plugin.py"
    plugin.write_text(plugin.read_text() + REVERSED)

    as_they_are, reversed_ = (_outcomes(_run(runs, each, module, *ORDERS["in order"])) for each in (project, other))

    assert {guard for fired in as_they_are.values() for guard in fired["guards"]} == FIRING.keys()
    assert reversed_ == as_they_are


def _outcomes(said: Said) -> dict[str, dict[str, set[str]]]:
    """Of each test, how it ended and which guards fired, whatever the order of their messages."""
    return {
        name: {"kinds": {*parts}, "guards": set(re.findall(r"guard (\w+): ", "".join(parts.values())))}
        for name, parts in said.items()
    }


# After the yield, these report a block that has passed, and restore nothing.
COMPLAINING = {"statements.py: at_most", "statements.py: exactly", "slow_test.py: _timed"}


def test_context_managers_restore_in_finally() -> None:
    managers = {
        f"{path.name}: {function.name}": function
        for path in (ROOT / "template" / "tests" / "harness").rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        and any("contextmanager" in ast.unparse(decorator) for decorator in function.decorator_list)
    }

    assert len(managers) > 15
    assert {name for name, function in managers.items() if _goes_on_after_a_bare_yield(function.body)} == COMPLAINING


def _goes_on_after_a_bare_yield(body: list[ast.stmt]) -> bool:
    """Whether something follows a yield that would not follow an error thrown into it."""
    for position, statement in enumerate(body):
        if isinstance(statement, ast.Try) and (statement.finalbody or _catches_all(statement)):
            continue
        goes_on = [later for later in body[position + 1 :] if not isinstance(later, ast.Return)]
        ends_here = statement is not body[-1] and isinstance(body[position + 1], ast.Return)
        if _yields(statement) and goes_on and not ends_here and not isinstance(statement, ast.If):
            return True
        if any(_goes_on_after_a_bare_yield(part) for part in _parts(statement)):
            return True
    return False


def _catches_all(statement: ast.Try) -> bool:
    return any(handler.type and ast.unparse(handler.type) == "BaseException" for handler in statement.handlers)


def _yields(statement: ast.stmt) -> bool:
    return any(isinstance(node, ast.Yield) for node in ast.walk(statement))


def _parts(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        if part := getattr(statement, name, []):
            yield part
