"""What a check finds: each finding has a key for the baseline, and the check has a heading, an advice and a severity.

A check adds all that it finds, then fails for what is new. An error (a migration that fails, several heads) is no
finding: a baseline cannot hold it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import pytest

from .baseline import NAME, OPTION, Baseline, Kind, baseline_of
from .project import run_of_pytest, shown
from .source_lines import HARNESS

Severity = Literal["data", "production", "schema", "review"]
# The most severe first.
SEVERITIES: dict[Severity, str] = {
    "data": "data can be lost or exposed",
    "production": "production can fail",
    "schema": "the schema drifts",
    "review": "to review, since it may be intended",
}


@dataclass(frozen=True)
class Rule:
    """What the first report says of a check.

    Args:
        severity: the worst that its findings can cause.
        effect: a sentence: what is wrong, and what it causes in production.
        remedy: a sentence.
    """

    severity: Severity
    effect: str
    remedy: str


# By the function of the check.
RULES: dict[Any, Rule] = {}
Check = TypeVar("Check", bound=Callable[..., Any])


def finds(severity: Severity, effect: str, remedy: str) -> Callable[[Check], Check]:
    """Decorates a check: `@finds("production", "A list without a limit can exhaust the memory.", "Add a limit.")`."""

    def decorate(check: Check) -> Check:
        RULES[check] = Rule(severity, effect, remedy)
        return check

    return decorate


@dataclass(frozen=True)
class Finding:
    """Something that a check found.

    Args:
        key: its identity in the baseline, readable; without line numbers, generated names, values and addresses.
        line: what the message shows; by default the key. It may have several lines.
        brief: one line for the first report, with the place; by default `line`.
    """

    key: str
    line: str = ""
    brief: str = ""

    def __str__(self) -> str:
        return self.line or self.key


@dataclass
class Findings:
    """The findings of a check that is running.

    Attributes:
        found: all findings by key, in order.
    """

    name: str
    baseline: Baseline
    found: dict[str, Finding] = field(default_factory=dict)
    _messages: list[str] = field(default_factory=list)
    _not_looked_at: set[str] = field(default_factory=set)

    def lets_be(self, key: str) -> bool:
        """Whether a finding is in the baseline, or is being written to it."""
        return self.baseline.lets_be("checks", self.name, key)

    def add(self, findings: Iterable[Finding], heading: str, advice: str) -> None:
        """Add what was found.

        Args:
            heading: the first line of the message; in it, `{found}` is replaced by the findings, on one line.
            advice: the last lines; `{first}` is replaced by the key of the first new finding.
        """
        found = list(findings)
        self.found |= {finding.key: finding for finding in found}
        if new := [finding for finding in found if not self.lets_be(finding.key)]:
            lines = [] if "{found}" in heading else map(str, new)
            first = heading.replace("{found}", ", ".join(map(str, new)))
            self._messages.append("\n".join([first, *lines, advice.replace("{first}", new[0].key)]))

    def note(self, findings: Iterable[Finding]) -> None:
        """Record what was found for the report and the baseline, before `add` fails for a part of it."""
        self.found |= {finding.key: finding for finding in findings}

    def keep(self, is_looked_at: Callable[[str], bool]) -> None:
        """Keep entries of the baseline that this run does not look at, such as those of older revisions."""
        self._not_looked_at |= {key for key in self.known if not is_looked_at(key)}

    def fail_for_new(self) -> None:
        """Fail the check if something is new."""
        if self._messages:
            pytest.fail("\n\n".join(self._messages), pytrace=False)

    @property
    def known(self) -> set[str]:
        """The entries of the baseline."""
        return self.baseline.known("checks", self.name)

    @property
    def gone(self) -> set[str]:
        """Entries that were looked for and not found, once the check has ended."""
        return self.known - self.found.keys() - self._not_looked_at


FINDINGS = pytest.StashKey[Findings]()

# A record for each check, and for each test with guards in the baseline; plain values, since workers send them.
Record = dict[str, Any]
RECORDS = pytest.StashKey[list[Record]]()


def configure(config: pytest.Config) -> None:
    records: list[Record] = []
    config.stash[RECORDS] = records
    if hasattr(config, "workeroutput"):
        # Sent to the controller of pytest-xdist when this worker ends.
        config.workeroutput["savepoint_findings"] = records


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Add the records of a worker of pytest-xdist."""
    node.config.stash[RECORDS] += getattr(node, "workeroutput", {}).get("savepoint_findings", [])


def record(
    config: pytest.Config, kind: Kind, name: str, found: dict[str, str], gone: Iterable[str], **more: Any
) -> None:
    """Record what a check or a test has found, by key; and which entries of the baseline it has not found."""
    known = baseline_of(config).known(kind, name)
    entry = {"kind": kind, "name": name, "found": found, "gone": sorted(gone)}
    config.stash[RECORDS].append(entry | {"known": sorted(known & found.keys())} | more)


@pytest.fixture
def _findings(request: pytest.FixtureRequest) -> Findings:
    """The findings of this check."""
    name = request.function.__name__
    findings = request.node.stash[FINDINGS] = Findings(name, baseline_of(request.config))
    return findings


def complete(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Record the findings of a check that has ended; fail it for entries of the baseline that it has not found."""
    rule = RULES.get(getattr(item, "obj", None))
    if rule is None or call.when == "teardown" or (call.when == "setup" and not report.failed):
        return
    findings = item.stash.get(FINDINGS, Findings(item.name, baseline_of(item.config)))
    gone = findings.gone if report.passed else set()
    found = {key: finding.brief or str(finding).strip() for key, finding in findings.found.items()}
    error = _error(call, report) if report.failed and not found else ""
    about = {"severity": rule.severity, "effect": rule.effect, "remedy": rule.remedy, "error": error}
    record(item.config, "checks", findings.name, found, gone, outcome=report.outcome, **about)
    if gone and not findings.baseline.is_written:
        report.outcome = "failed"
        report.longrepr = mended(item, f"[checks], {findings.name}", gone)


def _error(call: pytest.CallInfo[None], report: pytest.TestReport) -> str:
    """Why a check has failed: the first line is not empty."""
    if call.excinfo is None:
        return report.longreprtext.strip()
    return str(call.excinfo.value).strip() or call.excinfo.typename


def mended(item: pytest.Item, where: str, gone: Iterable[str]) -> str:
    """The message for entries of the baseline that match nothing."""
    file = shown(HARNESS.parent / NAME, item.config)
    command = run_of_pytest(item.config, item.path, f"{OPTION}=write")
    lines = [f"  {key}" for key in sorted(gone)]
    return "\n".join(
        [f"{file}: these entries match nothing any more:", *lines, f"Delete them there: {where}. Or run: {command}"]
    )
