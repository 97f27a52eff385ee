"""The results as Markdown."""

from collections.abc import Iterable

from benchmarks.cache import HOW
from benchmarks.contenders import CONTENDERS
from benchmarks.samples import Sample
from benchmarks.targets import TARGETS, Results


def markdown(results: Results, machine: str) -> str:
    """Tables of what was measured, and the line of the machine; each number a median, with the lowest and highest."""
    parts = [f"{machine}. Medians over the rounds, (lowest to highest); ratios are of one round, then their median."]
    if results.per_test:
        parts.append(_per_test(results))
    if results.start:
        parts.append(_start(results))
    if results.checks:
        parts.append(_checks(results))
    if results.workers:
        parts.append(_workers(results))
    if results.suite:
        parts.append(_suite(results))
    if results.long:
        parts.append(_long(results))
    if rows := list(_targets(results)):
        parts.append(_table(["target", "at most / least", "measured", ""], rows))
    return "\n\n".join(parts) + "\n"


def _per_test(results: Results) -> str:
    floor = results.per_test["none"]
    rows = []
    for contender in CONTENDERS:
        if contender.name in results.per_test:
            taken = results.per_test[contender.name]
            ratio = "1" if contender.name == "none" else _number(taken / floor, 2)
            added = "" if contender.name == "none" else f"{1000 * results.overhead(contender.name).median:.1f} ms"
            rows.append([contender.title, _milliseconds(taken), ratio, added, contender.setup])
    return _table(["one POST, INSERT, COMMIT", "per test", "times the floor", "adds", "how it was set up"], rows)


def _start(results: Results) -> str:
    rows = [
        [f"session start, {count} revisions", *(_seconds(results.start[how, count]) for how in HOW)]
        for count in results.revisions
    ]
    return _table(["the first test's set-up, a server of its own", *HOW], rows)


def _checks(results: Results) -> str:
    rows = [
        [
            f"{tables:,} tables, {revisions:,} revisions",
            *(_seconds(results.checks[how, tables, revisions]) for how in HOW),
        ]
        for tables, revisions in sorted({(tables, revisions) for _, tables, revisions in results.checks})
    ]
    return _table(["the harness's checks, whole process", *HOW], rows)


def _workers(results: Results) -> str:
    rows = []
    for tests in sorted({tests for _, tests in results.workers}):
        alone, both = results.workers[0, tests], results.workers[2, tests]
        rows.append([f"{tests} savepoint tests", _seconds(alone), _seconds(both), _number(alone / both, 2)])
    return _table(["whole process", "`-n 0`", "`-n 2`", "times faster"], rows)


def _suite(results: Results) -> str:
    suite, imports = results.suite["suite"], results.suite["imports"]
    row = ["the default project's suite", _seconds(suite), _seconds(imports), _number(suite / imports, 2)]
    return _table(["whole process, warm", "suite", "imports alone", "ratio"], [row])


def _long(results: Results) -> str:
    titles = {"savepoint": "**savepoint**", "none": "no isolation (the floor)", "nothing": "tests that do nothing"}
    rows = []
    for name, held in results.long.items():
        seconds = [f"{1000 * seconds:.2f} ms" for seconds in held.seconds]
        memory = [f"{size / 2**20:.0f} MB" for size in held.memory]
        descriptors = ", ".join(map(str, held.descriptors))
        rows.append([titles[name], *seconds, *memory, f"{held.growth / 2**10:.1f} KB", descriptors])
    tests = next(iter(results.long.values())).tests
    head = [f"{tests} tests in one process", "per test, first tenth", "last tenth", "memory after the first tenth"]
    return _table([*head, "at the end", "a test adds", "open descriptors, then and then"], rows)


def _targets(results: Results) -> Iterable[list[str]]:
    for target in TARGETS:
        try:
            ratio = target.measured(results)
        except KeyError:
            continue
        limit = f"{'≥' if target.at_least else '≤'} {target.limit:g}"
        yield [target.what, limit, f"{ratio:.2f}", "met" if target.is_met_by(ratio) else "**missed**"]


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _milliseconds(sample: Sample) -> str:
    return f"{1000 * sample.median:.1f} ms ({1000 * sample.low:.1f} to {1000 * sample.high:.1f})"


def _seconds(sample: Sample) -> str:
    return f"{sample.median:.2f} s ({sample.low:.2f} to {sample.high:.2f})"


def _number(sample: Sample, digits: int) -> str:
    return f"{sample.median:.{digits}f} ({sample.low:.{digits}f} to {sample.high:.{digits}f})"
