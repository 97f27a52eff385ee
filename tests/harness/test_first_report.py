"""The first report, from records: what is shown, in which order, and how much of it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from harness.core.baseline import BASELINE, Baseline
from harness.core.findings import RECORDS
from harness.core.settings import SETTINGS, Settings
from harness.core.source_lines import HARNESS
from harness.reports.first_report import COLUMNS, LINES, lines

ADVICE = [
    "To let these be for now, so that only new findings fail:",
    "  uv run pytest harness/checks --savepoint-baseline=write",
]


def record(
    name: str, *found: str, severity: str = "schema", outcome: str = "failed", known: int = 0, error: str = ""
) -> dict[str, Any]:
    """The record of a check whose effect and remedy are its name."""
    about = {"severity": severity, "effect": f"{name}: effect.", "remedy": f"{name}: remedy.", "error": error}
    keys = dict(zip(map(str, range(len(found))), found, strict=True))
    return {"kind": "checks", "name": name, "found": keys, "known": [*keys][:known], "outcome": outcome} | about


def report(
    *records: dict[str, Any],
    mode: str = "check",
    exists: bool = False,
    application: str = "app:app",
    option: bool = False,
    worker: bool = False,
) -> list[str]:
    """The lines of the report in a run with these records."""
    config: Any = SimpleNamespace(
        stash={
            BASELINE: Baseline(Path("baseline.toml"), mode, exists),
            RECORDS: list(records),
            SETTINGS: Settings(application=application),
        },
        rootpath=HARNESS.parent,
        getoption=lambda name: option and name == "savepoint_report",
        **({"workerinput": {"workerid": "gw0"}} if worker else {}),
    )
    return lines(config)


def test_the_worst_comes_first() -> None:
    shown = report(
        record("b", "b1"),
        record("passed", outcome="passed"),
        record("a", "a1", "a2", outcome="passed", known=1),
        record("worst", "w1", severity="data"),
        record("broken", severity="review", error="  it broke  \nhere"),
        record("skipped", severity="review", outcome="skipped"),
        {"kind": "guards", "name": "test", "found": {"leaked_environ": "text"}, "known": []},
    )

    assert shown == [
        "4 findings in 3 checks, 1 of them in the baseline. 1 check found nothing.",
        "DATA CAN BE LOST OR EXPOSED",
        "  (1) worst: effect.",
        "      w1",
        "    Remedy: worst: remedy. [worst]",
        "THE SCHEMA DRIFTS",
        "  (2) a: effect.",
        "      a1",
        "      a2",
        "    Remedy: a: remedy. [a]",
        "  (1) b: effect.",
        "      b1",
        "    Remedy: b: remedy. [b]",
        "TO REVIEW, SINCE IT MAY BE INTENDED",
        "  not checked: broken: effect.",
        "      it broke",
        "    See [broken]",
        *ADVICE,
    ]


@pytest.mark.parametrize(("number", "listed"), [(8, 8), (9, 9), (10, 8)])
def test_a_long_list_is_cut(number: int, listed: int) -> None:
    shown = report(record("a", *(f"line {each}" for each in range(number))))

    assert sum(line.startswith("      line ") for line in shown) == listed
    assert (f"      … and {number - listed} more" in shown) is (number > listed)


@pytest.mark.parametrize("checks", [6, 13])
def test_of_many_checks_each_shows_less(checks: int) -> None:
    """The page is as full as it may be, and each check has at least one line."""
    shown = report(*(record(f"c{check:02}", *map(str, range(30))) for check in range(checks)))

    each = [sum(line.strip().isdigit() for line in part.splitlines()) for part in "\n".join(shown).split("effect.")[1:]]
    assert each == [3 if checks == 6 else 1] * checks
    assert (len(shown) - len(ADVICE) <= LINES) is (checks == 6)


def test_a_line_keeps_its_beginning_and_its_end() -> None:
    fits = "x" * (COLUMNS - 6)

    shown = report(record("a", fits, f"begin{'y' * COLUMNS}end", "one\n  two"))

    assert shown[3] == f"      {fits}"
    assert len(shown[4]) == COLUMNS
    assert shown[4].startswith("      beginyy")
    assert shown[4].endswith("yyend")
    assert shown[4].index("…") == COLUMNS // 2 - 1
    assert shown[5] == "      one two"


def test_a_word_is_never_split() -> None:
    path = "a-long-path/" * 12

    assert f"    {path}" in report(record("a", "a1") | {"remedy": f"See {path}"})


def test_the_last_run_of_a_check_counts() -> None:
    assert report(record("a", "a1", "a2"), record("b", "b1"), record("a", "a1"))[0] == (
        "2 findings in 2 checks. 0 checks found nothing."
    )


@pytest.mark.parametrize(
    ("records", "how", "is_shown", "is_advised"),
    [
        ([record("a", "a1")], {}, True, True),
        ([record("a", outcome="passed")], {}, False, False),
        ([], {"option": True}, False, False),
        ([record("a", "a1")], {"worker": True, "option": True}, False, False),
        ([record("a", "a1")], {"application": ""}, False, False),
        ([record("a", "a1")], {"application": "", "option": True}, True, True),
        ([record("a", "a1")], {"exists": True}, False, False),
        ([record("a", "a1")], {"exists": True, "option": True}, True, False),
        ([record("a", "a1")], {"exists": True, "mode": "ignore"}, False, False),
        ([record("a", "a1")], {"mode": "write"}, False, False),
        ([record("a", "a1")], {"mode": "write", "option": True}, True, False),
        ([record("a", outcome="passed")], {"option": True}, True, False),
    ],
    ids=str,
)
def test_when_it_is_shown(records: list[Any], how: dict[str, Any], is_shown: bool, is_advised: bool) -> None:
    shown = report(*records, **how)

    assert bool(shown) is is_shown
    assert (shown[-2:] == ADVICE) is is_advised
