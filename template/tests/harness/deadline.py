"""No test runs for ever: after a minute it fails, and says where it stands and what the database waits for.

A minute is six times what guard `slow` lets pass by default; where that lets more pass, it is six times as much.
`test_deadline_seconds` is another limit. The set-up and the
tear-down of a test have as long. `alarm.py` says how they are ended, and `standstill.py` what is said.
"""

import re
from collections.abc import Generator
from typing import Any

import pytest

from . import guards
from .alarm import Deadline
from .slow import BUDGET

MINUTE = 60.0
DEADLINE = pytest.StashKey[Deadline]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("test_deadline_seconds", "When a test is ended, and its set-up, and its tear-down; 0 is never.")


# Last, since it asks for the budget of a guard.
@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    text = config.getini("test_deadline_seconds")
    # Not what float() knows beside numbers: "nan" and "inf".
    if text and not re.fullmatch(r"\d+(\.\d+)?", text):
        raise pytest.UsageError(f"test_deadline_seconds in pyproject.toml is {text!r}, and has to be a number")
    config.stash[DEADLINE] = Deadline(float(text) if text else max(MINUTE, 6 * config.stash[BUDGET]))
    config.add_cleanup(config.stash[DEADLINE].uninstall)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    with item.config.stash[DEADLINE].of(item, "the set-up of "):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    with item.config.stash[DEADLINE].of(item, ""):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    with item.config.stash[DEADLINE].of(item, "the tear-down of "):
        return (yield)


def pytest_fixture_post_finalizer(fixturedef: Any, request: pytest.FixtureRequest) -> None:
    # The last of a test's own: what comes down now is of wider scope.
    if fixturedef.argname == guards.guarded.__name__:
        request.config.stash[DEADLINE].widen(1)


# First, so that what AnyIO takes for the fixture is limited.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: Any, request: pytest.FixtureRequest) -> Generator[None, object, object]:
    deadline, function = request.config.stash[DEADLINE], fixturedef.func
    is_wider = fixturedef.scope != "function"
    fixturedef.func = deadline.limiting(function)
    if is_wider:
        deadline.widen(1)
    try:
        return (yield)
    finally:
        fixturedef.func = function
        if is_wider:
            deadline.widen(-1)


# First, so that the guard of tasks sees a failure, and ends what the test has started.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    # Hypothesis runs many times what it holds; AnyIO puts its own there, and says what was there before.
    holder = getattr(pyfuncitem.obj, "hypothesis", None)
    owner, name = (pyfuncitem, "obj") if holder is None else (holder, "inner_test")
    function = getattr(owner, name)
    function = getattr(function, "_anyio_original_func", function)
    setattr(owner, name, pyfuncitem.config.stash[DEADLINE].limiting(function))
    try:
        return (yield)
    finally:
        setattr(owner, name, function)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report, deadline = (yield), item.config.stash[DEADLINE]
    if (message := deadline.message) is not None:
        deadline.message = None
        followed = report.longreprtext.replace(message, "").strip()
        report.outcome = "failed"
        report.longrepr = "\n\n".join([message, *(["What followed from it:", followed] if followed else [])])
    return report
