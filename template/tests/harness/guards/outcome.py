"""Fails a test for the guards that have fired, and lets be what the baseline lists."""

import pytest

from ..core.baseline import baseline_of
from ..core.findings import mended, record
from ..core.project import is_governed, shown
from ..core.run import add_to_summary
from .base import FIRED, enabled, id_of

# The outcome of the setup, then of the call.
OUTCOME = pytest.StashKey[str]()
# The messages by key that the baseline has let be.
LET_BE = pytest.StashKey[dict[str, str]]()


def report_fired(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Fail a test if a guard has fired that the baseline does not list; the test's own failure is shown below."""
    fired, baseline = item.stash.get(FIRED, []), baseline_of(item.config)
    if fired and call.when != "setup":
        if "skipped" not in (report.outcome, item.stash.get(OUTCOME, "")):
            test = id_of(item)
            known = {one.key: one.text for one in fired if one.key and baseline.lets_be("guards", test, one.key)}
            item.stash.setdefault(LET_BE, {}).update(known)
            if new := [one.text for one in fired if one.key not in known]:
                its_own = [report.longreprtext] if report.failed else []
                report.outcome = "failed"
                report.longrepr = "\n\n".join([*new, *its_own])
        fired.clear()
    if call.when != "teardown":
        item.stash[OUTCOME] = report.outcome
    elif baseline.guards or baseline.is_written:
        _complete(item, report)


def _complete(item: pytest.Item, report: pytest.TestReport) -> None:
    """Record what the baseline lets be in a test that has ended; fail it for entries of guards that have not fired."""
    baseline, test, let_be = baseline_of(item.config), id_of(item), item.stash.get(LET_BE, {})
    has_passed = is_governed(item) and report.passed and item.stash.get(OUTCOME, "") == "passed"
    could_fire = {guard.name for guard in enabled(item.config) if guard.is_repeatable and has_passed}
    gone = {key for key in baseline.known("guards", test) - let_be.keys() if key.partition(": ")[0] in could_fire}
    if let_be or gone:
        record(item.config, "guards", test, let_be, gone)
    if gone and not baseline.is_written:
        report.outcome = "failed"
        report.longrepr = mended(item, f"[guards], {test}", gone)


def report_vanished(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add a line to the summary for each test of the baseline that does not exist; `items` are all of the collected."""
    baseline = baseline_of(config)
    if not baseline.guards:
        return
    # With the id of a test, or only those that failed last, a file is collected in part.
    is_partial = any("::" in argument for argument in config.args) or config.getoption("lf", False)
    ids = {id_of(item) for item in items}
    files = set() if is_partial else {test.partition("::")[0] for test in ids}
    for test in baseline.guards:
        file = test.partition("::")[0]
        if (file in files and test not in ids) or not (config.rootpath / file).is_file():
            where = f"{shown(baseline.path, config)}: [guards]"
            add_to_summary(config, "outdated", f"{where}: there is no test {test}. Delete its entries.")
            record(config, "guards", test, {}, baseline.guards[test])
