"""A plugin of pytest, of its own: lists the requests of failed tests that got a 5xx, or raised an error.

It runs beside the harness of another version, so it imports nothing of the harness.
"""

import re
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

# What identifies a row.
IDS = re.compile(r"/(\d+|[0-9a-f]{8}-[0-9a-f-]{27})(?=/|$)")

of_test: list[str] = []
counts: Counter[str] = Counter()


def _recording_in_loop(send: Any) -> Any:
    async def recorded(self: httpx.AsyncClient, request: httpx.Request, **options: Any) -> httpx.Response:
        with _errors_recorded(request):
            return _recorded(await send(self, request, **options))

    return recorded


def _recording(send: Any) -> Any:
    def recorded(self: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        with _errors_recorded(request):
            return _recorded(send(self, request, **options))

    return recorded


@contextmanager
def _errors_recorded(request: httpx.Request) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        _record(request, f"{type(error).__name__}: {error}")
        raise


def _recorded(response: httpx.Response) -> httpx.Response:
    if response.is_server_error:
        _record(response.request, str(response.status_code))
    return response


def _record(request: httpx.Request, outcome: str) -> None:
    # The statement of a database's error stands below its first line.
    of_test.append(f"{request.method} {IDS.sub('/…', request.url.path)}: {outcome.splitlines()[0]}")


def pytest_configure(config: pytest.Config) -> None:
    before = httpx.AsyncClient.send, httpx.Client.send
    httpx.AsyncClient.send = _recording_in_loop(before[0])  # type: ignore[method-assign]
    httpx.Client.send = _recording(before[1])  # type: ignore[method-assign]

    def restore() -> None:
        httpx.AsyncClient.send, httpx.Client.send = before  # type: ignore[method-assign]

    config.add_cleanup(restore)


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
