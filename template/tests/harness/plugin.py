"""The hooks that pytest calls, and the order in which the modules of the harness take part in them.

No other file decides an order. Fixtures, and hooks that only one module needs, are defined in that module.
"""

from collections.abc import Generator
from typing import Any

import pytest

from . import early, options
from .app import own_clients, sessions
from .connections import process, shell_variables
from .core import baseline, deprecated, findings, private_api, project, run, settings
from .core.project import is_governed
from .database import (
    alembic_env,
    fixture_rows,
    isolation,
    late_fixtures,
    lock_holders,
    own_database,
    server_gone,
    set_up_errors,
)
from .guards import base, leaked_task, names, network, outcome, stale_settings_cache
from .modules import GUARDS, register
from .reports import (
    explanations,
    first_report,
    github_summary,
    known,
    masking,
    missing_column,
    query_report,
    tracebacks,
)
from .runner import (
    async_plugin,
    deadline,
    ended_loops,
    forks,
    garbage,
    governed_tests,
    interrupted,
    pytest_asyncio,
    repeated_tests,
)
from .schema import new_revisions


def pytest_plugin_registered(plugin: object, manager: pytest.PytestPluginManager) -> None:
    if getattr(plugin, "__name__", None) == __name__:
        register(manager)


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    options.add(parser)
    settings.add_options(parser)
    deprecated.add_options(parser)
    async_plugin.add_options(parser, pluginmanager)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    for mark in options.MARKS:
        config.addinivalue_line("markers", mark)
    private_api.configure(config)
    run.configure(config)
    deprecated.warn_of_options(config)
    early.configure(config)
    settings.configure(config)
    project.configure(config)
    baseline.configure(config)
    findings.configure(config)
    for part in (shell_variables, process, sessions, own_clients, alembic_env, lock_holders, new_revisions):
        part.configure(config)
    for part in (governed_tests, pytest_asyncio, async_plugin, interrupted, ended_loops):
        part.configure(config)
    fixture_rows.configure(config)
    for guard in GUARDS:
        if hasattr(guard, "configure"):
            guard.configure(config)
    for part in (deadline, forks, missing_column, query_report):
        part.configure(config)


# First: another plugin may deselect tests, or change their order.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None, None, None]:
    async_plugin.refuse_pytest_asyncio(config, items)
    pytest_asyncio.run_by_anyio(config, items)
    names.check(config, items)
    outcome.report_vanished(config, items)
    yield
    governed_tests.run_others_first(config, items)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    with (
        governed_tests.letting_connect(item),
        forks.watching_test(item),
        network.watching(item),
        garbage.collecting_after_protocol(item),
    ):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    repeated_tests.forget(item)
    if not is_governed(item):
        return (yield)
    with deadline.limiting_phase(item, "setup of "), stale_settings_cache.around_setup(item):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    if not is_governed(item):
        return (yield)
    # Event loops are checked before the fixtures of the test end: some fixtures empty all pools.
    with deadline.limiting_phase(item, ""), base.entered_call(item), ended_loops.watching(item):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, None, None]:
    if not is_governed(item):
        return (yield)
    with (
        garbage.collecting_after_teardown(item),
        deadline.limiting_phase(item, "teardown of "),
        interrupted.finishing_teardown(item, nextitem),
    ):
        return (yield)


# First: the limit includes the time that AnyIO needs for the fixture.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    governed_tests.check_late_fixture(fixturedef, request)
    with (
        deadline.limiting_fixture(fixturedef, request.config),
        late_fixtures.around_setup(fixturedef, request),
        governed_tests.letting_end(fixturedef, request.config),
        set_up_errors.ending_run(fixturedef, request.config),
        forks.watching_fixture(fixturedef, request.config),
    ):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    if not is_governed(pyfuncitem):
        return (yield)
    # The guard is outside of the limit: it sees a timeout, and cancels the tasks of the test.
    with (
        deadline.limiting_function(pyfuncitem),
        forks.watching_function(pyfuncitem),
        leaked_task.watching_function(pyfuncitem),
    ):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    missing_column.mark(item, call)
    with tracebacks.shortened(item, call):
        report = yield
    # Each function inserts its text at the top: the text of the last function comes first.
    explanations.explain(item, call, report)
    outcome.report_fired(item, call, report)
    findings.complete(item, call, report)
    isolation.report_refused(item, call, report)
    own_database.record_outcome(item, report)
    server_gone.end_run_if_gone(item, report)
    deadline.report_timeout(item, report)
    forks.report(item, report)
    masking.mask(item, report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None, None, None]:
    run.show_server(terminalreporter, config)
    github_summary.write(terminalreporter, config)
    yield
    missing_column.summarize(terminalreporter, config)
    first_report.summarize(terminalreporter, config)
    known.summarize(terminalreporter, config)
    run.summarize(terminalreporter, config)
