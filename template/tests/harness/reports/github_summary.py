"""In a job of GitHub's, how the run went stands on the run's page: the counts, and what each failure said.

Where GITHUB_STEP_SUMMARY is not set, nothing is done. A failure is shortened from the top, since its end says most,
and only the first are shown: GitHub drops a page that is over 1 MiB.
"""

import os
from html import escape
from pathlib import Path

import pytest

VARIABLE = "GITHUB_STEP_SUMMARY"
FAILURES = 20
CHARACTERS = 10_000

# As pytest counts, what matters most first.
OUTCOMES = ("failed", "error", "passed", "skipped", "xfailed", "xpassed")


def write(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Append to the page of the job, if this is one."""
    # A worker of pytest-xdist has a terminal too, which nobody sees.
    if (path := os.environ.get(VARIABLE)) and not hasattr(config, "workerinput"):
        with Path(path).open("a", encoding="utf-8") as page:
            page.write(_page(terminalreporter.stats))


def _page(stats: dict[str, list[pytest.TestReport]]) -> str:
    counts = [f"{len(stats[outcome])} {outcome}" for outcome in OUTCOMES if stats.get(outcome)]
    failures = [*stats.get("failed", []), *stats.get("error", [])]
    more = [f"And {len(failures) - FAILURES} more, in the log.\n"] if len(failures) > FAILURES else []
    heading = f"### Tests: {', '.join(counts) or 'none ran'}\n"
    return "\n".join([heading, *map(_details, failures[:FAILURES]), *more])


def _details(report: pytest.TestReport) -> str:
    said = report.longreprtext
    said = said if len(said) <= CHARACTERS else f"…{said[-CHARACTERS:]}"
    # <pre> and not a fence, which a failure may hold. A blank line would end the HTML.
    return (
        f"<details><summary><code>{escape(report.nodeid)}</code></summary>"
        f"<pre>{escape(said).replace(chr(10), '&#10;')}</pre></details>\n"
    )
