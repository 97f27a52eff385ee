"""The line of the summary about the baseline: how many findings it lets be; with `write`, what was written."""

import pytest

from ..core.baseline import KINDS, Baseline, Entries, Kind, baseline_of, write
from ..core.findings import RECORDS, Record
from ..core.project import shown
from ..core.run import SESSION, worker_input


def summarize(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the file if the run is to write it, and the line. The workers of pytest-xdist must have ended."""
    baseline, records = baseline_of(config), config.stash[RECORDS]
    if worker_input(config):
        return
    if baseline.is_written:
        if records:
            name = shown(baseline.path, config)
            try:
                terminalreporter.write_line(_write(baseline, records, name))
            except OSError as error:
                terminalreporter.write_line(f"baseline: {name} was not written: {error}", red=True)
                config.stash[SESSION].exitstatus = pytest.ExitCode.TESTS_FAILED
    elif counts := _counts({kind: _known(records, kind) for kind in KINDS}):
        terminalreporter.write_line(f"baseline: {counts}")


def _known(records: list[Record], kind: Kind) -> Entries:
    return {entry["name"]: set(entry["known"]) for entry in records if entry["kind"] == kind and entry["known"]}


def _write(baseline: Baseline, records: list[Record], name: str) -> str:
    before = {kind: getattr(baseline, kind) for kind in KINDS}
    after = {kind: _merged(before[kind], records, kind) for kind in KINDS}
    write(baseline.path, after)
    old, new = _pairs(before), _pairs(after)
    counts = _counts(after, "") or "no findings"
    return f"baseline: {counts}, written to {name} ({len(new - old)} new, {len(old - new)} removed)"


def _merged(before: Entries, records: list[Record], kind: Kind) -> Entries:
    merged = {name: set(keys) for name, keys in before.items()}
    for entry in records:
        if entry["kind"] == kind:
            keys = merged.setdefault(entry["name"], set())
            keys.difference_update(entry["gone"])
            keys.update(entry["found"])
    return {name: keys for name, keys in merged.items() if keys}


def _pairs(entries: dict[Kind, Entries]) -> set[tuple[str, str, str]]:
    return {(kind, name, key) for kind in KINDS for name, keys in entries[kind].items() for key in keys}


def _counts(entries: dict[Kind, Entries], known: str = "known ") -> str:
    """`14 known findings in 5 checks, 3 of guards in 2 tests`."""
    checks, guards = entries["checks"], entries["guards"]
    of_checks, of_guards = (sum(map(len, kind.values())) for kind in (checks, guards))
    parts = []
    if checks:
        parts.append(f"{_many(of_checks, f'{known}finding')} in {_many(len(checks), 'check')}")
    if guards:
        what = "of guards" if checks else f"{_named(of_guards, f'{known}finding')} of guards"
        parts.append(f"{of_guards} {what} in {_many(len(guards), 'test')}")
    return ", ".join(parts)


def _many(number: int, noun: str) -> str:
    return f"{number} {_named(number, noun)}"


def _named(number: int, noun: str) -> str:
    return noun if number == 1 else f"{noun}s"
