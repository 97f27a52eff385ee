"""What the checks found, on one page: for a service that has just got the harness.

A service that existed before names its application in the setting `application`. There, a run in which a check found
something ends with the report, until there is a baseline: what fails then is new, and its own message is enough. A new
service begins without findings. `--savepoint-report` prints it in any run of the checks.

The worst comes first. Each check says what its findings cause in production, where they are, and what mends them. A
long list is cut.
"""

from collections.abc import Iterator
from textwrap import wrap

import pytest

from ..core.baseline import OPTION as BASELINE_OPTION
from ..core.baseline import baseline_of
from ..core.findings import RECORDS, SEVERITIES, Record
from ..core.project import run_of_pytest
from ..core.run import worker_input
from ..core.settings import settings_of
from ..core.source_lines import HARNESS

OPTION = "--savepoint-report"
HELP = "end with what the checks found, by severity, also if there is a baseline"

COLUMNS = 100
# Of the page. With findings of all checks it is some lines more: each shows one.
LINES = 40
SHOWN = 8

TITLE = "what the checks found"


def lines(config: pytest.Config) -> list[str]:
    """The lines of the report; none if there is nothing to report, or the baseline exists."""
    # A check that runs again, as with pytest-rerunfailures, has several records: the last counts.
    checks = {record["name"]: record for record in config.stash[RECORDS] if record["kind"] == "checks"}
    baseline, records = baseline_of(config), list(checks.values())
    has_none = not baseline.exists and not baseline.is_written
    has_found = any(record["found"] for record in records)
    is_first = has_none and has_found and settings_of(config).application
    if worker_input(config) or not records or not (is_first or config.getoption("savepoint_report")):
        return []
    return [*_page(records), *(_advice(config) if has_none and has_found else [])]


def summarize(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the report. Must be called after pytest's list of failed tests, which may be long."""
    if text := lines(config):
        terminalreporter.write_sep("=", TITLE, bold=True)
        for line in text:
            terminalreporter.write_line(line, bold=line.isupper())


def _page(records: list[Record]) -> list[str]:
    pages = [[_counts(records), *_body(records, shown)] for shown in range(SHOWN, 0, -1)]
    return next((page for page in pages if len(page) <= LINES), pages[-1])


def _counts(records: list[Record]) -> str:
    found = [record for record in records if record["found"]]
    number, known = (sum(len(record[key]) for record in found) for key in ("found", "known"))
    passed = sum(record["outcome"] == "passed" and not record["found"] for record in records)
    counts = f"{_many(number, 'finding')} in {_many(len(found), 'check')}"
    let_be = f", {known} of them in the baseline" if known else ""
    return f"{counts}{let_be}. {_many(passed, 'check')} found nothing."


def _body(records: list[Record], shown: int) -> Iterator[str]:
    for severity, title in SEVERITIES.items():
        of_severity = [record for record in records if record["severity"] == severity and _is_shown(record)]
        if of_severity:
            yield title.upper()
        for record in sorted(of_severity, key=lambda record: str(record["name"])):
            found = list(record["found"].values())
            yield from _wrapped(f"{f'({len(found)})' if found else 'not checked:'} {record['effect']}", "  ")
            brief = found or record["error"].splitlines()[:1]
            # A line that says that there is one more would take as much room as that one.
            shown_here = len(brief) if len(brief) == shown + 1 else shown
            yield from (_cut(f"      {' '.join(line.split())}") for line in brief[:shown_here])
            if len(brief) > shown_here:
                yield f"      … and {len(brief) - shown_here} more"
            remedy = f"Remedy: {record['remedy']} " if found else "See "
            yield from _wrapped(f"{remedy}[{record['name']}]", "    ")


def _is_shown(record: Record) -> bool:
    return bool(record["found"] or record["error"])


def _advice(config: pytest.Config) -> list[str]:
    command = run_of_pytest(config, HARNESS / "checks", f"{BASELINE_OPTION}=write")
    return ["To let these be for now, so that only new findings fail:", f"  {command}"]


def _wrapped(text: str, indent: str = "") -> list[str]:
    """The text in lines of the page's width; a word is never split, such as a path."""
    return wrap(
        text, COLUMNS, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _cut(line: str) -> str:
    """The beginning and the end: the place, and what is wrong."""
    if len(line) <= COLUMNS:
        return line
    end = COLUMNS // 2
    return f"{line[: COLUMNS - end - 1]}…{line[-end:]}"


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
