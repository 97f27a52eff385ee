"""A plugin of pytest, of its own: lists the requests of failed tests that got a 5xx, or raised an error.

It runs beside the harness of another version, so it imports nothing of the harness.
"""

import re
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

# What identifies a row.
IDS = re.compile(r"/(\d+|[0-9a-f]{8}-[0-9a-f-]{27})(?=/|$)")

of_test: list[str] = []
counts: Counter[str] = Counter()


def _recording_in_loop(send: Any) -> Any:
    async def recorded(self: Any, request: Any, **options: Any) -> Any:
        with _errors_recorded(request):
            return _recorded(await send(self, request, **options))

    return recorded


def _recording(send: Any) -> Any:
    def recorded(self: Any, request: Any, **options: Any) -> Any:
        with _errors_recorded(request):
            return _recorded(send(self, request, **options))

    return recorded


@contextmanager
def _errors_recorded(request: Any) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        _record(request, f"{type(error).__name__}: {error}")
        raise


def _recorded(response: Any) -> Any:
    if response.is_server_error:
        _record(response.request, str(response.status_code))
    return response


def _record(request: Any, outcome: str) -> None:
    # The statement of a database's error stands below its first line.
    of_test.append(f"{request.method} {IDS.sub('/…', request.url.path)}: {outcome.splitlines()[0]}")


def pytest_configure(config: pytest.Config) -> None:
    for name in ("httpx", "httpx2"):
        if find_spec(name):
            library = import_module(name)
            for client, recording in (library.AsyncClient, _recording_in_loop), (library.Client, _recording):
                config.add_cleanup(partial(setattr, client, "send", client.send))
                client.send = recording(client.send)


def pytest_runtest_setup() -> None:
    of_test.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    # Sent to the controller of pytest-xdist with the report.
    report.requests = [*of_test] if report.failed else []  # type: ignore[attr-defined]
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    counts.update(set(getattr(report, "requests", ())))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if counts:
        terminalreporter.write_sep("=", "requests that failed")
        for line, number in counts.most_common():
            terminalreporter.write_line(f"{line} ({number} tests)" if number > 1 else line)
