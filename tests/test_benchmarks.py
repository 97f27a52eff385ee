"""The benchmark runs and yields its tables. No time is asserted: machines differ, and this one is busy with tests."""

import os
import re
import subprocess
import sys

from benchmarks import checks, readme
from benchmarks.chart import svg
from benchmarks.long import Held
from benchmarks.report import markdown
from benchmarks.samples import Sample
from benchmarks.targets import Results
from tests.environment import clean
from tests.rendering import ROOT

RESULTS = Results(
    per_test={
        "none": Sample((0.004, 0.008, 0.004)),
        "savepoint": Sample((0.005, 0.010, 0.006)),
        "truncate": Sample((0.024, 0.040, 0.024)),
        "create_all": Sample((0.014, 0.014, 0.014)),
        "own_database": Sample((0.014, 0.014, 0.014)),
        "pytest_postgresql": Sample((0.044, 0.044, 0.044)),
    },
    long={
        "savepoint": Held(1000, (0.006, 0.006), (100_000_000, 109_000_000), (17, 17)),
        "none": Held(1000, (0.004, 0.004), (100_000_000, 104_500_000), (17, 17)),
    },
)


def test_a_run_of_one_contender_yields_a_table() -> None:
    done = run("--quick", "--rounds", "1", "--only", "savepoint")

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\| no isolation .* \| 1 \| ", done.stdout, re.M)
    assert re.search(r"^\| \*\*savepoint\*\* \| [\d.]+ ms \([\d.]+ to [\d.]+\) \| [\d.]+ ", done.stdout, re.M)
    assert re.search(
        r"^\| a savepoint test, against no isolation \| ≤ 1.3 \| [\d.]+ \| (met|\*\*missed\*\*) \|$", done.stdout, re.M
    )


def test_a_long_run_says_what_grows() -> None:
    done = run("--quick", "--only", "long")

    assert done.returncode == 0, done.stdout + done.stderr
    for name in (r"\*\*savepoint\*\*", r"no isolation \(the floor\)", "tests that do nothing"):
        times, memory = r"[\d.]+ ms \| [\d.]+ ms", r"\d+ MB \| \d+ MB \| -?[\d.]+ KB"
        assert re.search(rf"^\| {name} \| {times} \| {memory} \| \d+, \d+ \|$", done.stdout, re.M), done.stdout


def test_checks_of_large_projects() -> None:
    done = run("--quick", "--rounds", "1", "--only", "checks")

    assert done.returncode == 0, done.stdout + done.stderr
    for size in ("30 tables, 2 revisions", "150 tables, 4 revisions"):
        assert re.search(rf"^\| {size} \| [\d.]+ s .* \| [\d.]+ s .* \|$", done.stdout, re.M), done.stdout


def test_the_readme_holds_whole_runs_alone() -> None:
    done = run("--write-readme", "--quick")

    assert done.returncode == 2
    assert "--write-readme: the section holds all of it" in done.stderr


def test_the_readme_has_the_checks_of_large_projects() -> None:
    page = (ROOT / "README.md").read_text()

    assert readme.with_checks(readme.with_checks(page, "| a table |"), "| a table |").count("\n| a table |\n") == 1
    for tables, revisions in checks.SIZES:
        assert re.search(rf"^\| {tables:,} tables, {revisions:,} revisions \| [\d.]+ s ", page, re.M)


def test_a_ratio_is_taken_within_each_round() -> None:
    """A round in which the machine was half as fast says the same."""
    assert (RESULTS.per_test["savepoint"] / RESULTS.per_test["none"]).values == (1.25, 1.25, 1.5)


def test_targets_stand_beside_what_was_measured() -> None:
    table = markdown(RESULTS, "A machine").splitlines()

    assert "| a savepoint test, against no isolation | ≤ 1.3 | 1.25 | met |" in table
    assert "| what TRUNCATE adds, against savepoint | ≥ 4 | 10.00 | met |" in table
    assert "| what create_all, drop_all adds, against savepoint | ≥ 20 | 5.00 | **missed** |" in table
    assert "| what pytest-postgresql adds, against own_database | ≥ 5 | 4.00 | **missed** |" in table
    assert "| what a savepoint test leaves in memory, against no isolation | ≤ 1.1 | 2.00 | **missed** |" in table
    assert not [line for line in table if "two workers" in line]


def test_the_chart_shows_every_contender_that_was_measured() -> None:
    assert svg(RESULTS).count('<rect class="floor"') == len(RESULTS.per_test)


def test_the_readme_is_rewritten_between_its_markers() -> None:
    page = (ROOT / "README.md").read_text()

    once = readme.rewritten(page, "| a table |")

    assert readme.rewritten(once, "| a table |") == once
    assert once.partition("<!-- benchmarks:begin")[0] == page.partition("<!-- benchmarks:begin")[0]
    assert once.partition("benchmarks:end -->")[2] == page.partition("benchmarks:end -->")[2]


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    # Its imports are compiled once, not in each run.
    env = clean(os.environ)
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
