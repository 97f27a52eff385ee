"""The job summary of GitHub Actions: the counts of tests, the first report, and the report of each failure.

Without GITHUB_STEP_SUMMARY, nothing is written. The first 20 failures are shown, and the end of a long report: GitHub
drops a summary over 1 MiB.
"""

import os
from html import escape
from pathlib import Path

import pytest

from . import first_report

VARIABLE = "GITHUB_STEP_SUMMARY"
FAILURES = 20
CHARACTERS = 10_000

# pytest's outcomes, the most important first.
OUTCOMES = ("failed", "error", "passed", "skipped", "xfailed", "xpassed")


def write(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Append to the job summary, if the run is a job of GitHub Actions."""
    # A worker of pytest-xdist calls this hook too.
    if (path := os.environ.get(VARIABLE)) and not hasattr(config, "workerinput"):
        try:
            with Path(path).open("a", encoding="utf-8") as page:
                page.write(_page(terminalreporter.stats, first_report.lines(config)))
        except OSError as error:
            # Such as a container of the job in which the runner's folder is not mounted.
            terminalreporter.write_line(f"the job summary was not written: {VARIABLE}={path}: {error.strerror}")


def _page(stats: dict[str, list[pytest.TestReport]], found: list[str]) -> str:
    counts = [f"{len(stats[outcome])} {outcome}" for outcome in OUTCOMES if stats.get(outcome)]
    failures = [*stats.get("failed", []), *stats.get("error", [])]
    more = [f"{len(failures) - FAILURES} more failures: see the log.\n"] if len(failures) > FAILURES else []
    heading = f"### Tests: {', '.join(counts) or 'none ran'}\n"
    report = [f"<pre>{_escaped(chr(10).join(found))}</pre>\n"] if found else []
    return "\n".join([heading, *report, *map(_details, failures[:FAILURES]), *more])


def _details(report: pytest.TestReport) -> str:
    text = report.longreprtext
    text = text if len(text) <= CHARACTERS else f"…{text[-CHARACTERS:]}"
    # <pre> and not a fence, which the report may contain.
    return f"<details><summary><code>{escape(report.nodeid)}</code></summary><pre>{_escaped(text)}</pre></details>\n"


def _escaped(text: str) -> str:
    # A blank line would end the HTML.
    return escape(text).replace("\n", "&#10;")
