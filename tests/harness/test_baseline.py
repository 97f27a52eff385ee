"""The baseline of guards, and what its file looks like."""

import re
import tomllib
from pathlib import Path

import pytest
from harness.core.baseline import HEADER, Baseline, read, text_of, write
from harness.core.findings import SEVERITIES
from harness.schema.catalog import Difference, differences

from tests.harness.sample import Sample
from tests.rendering import Render

WRITE = "--savepoint-baseline=write"
FILE = "tests/savepoint-baseline.toml"

TESTS = """
import os
import socket
import time
from contextlib import suppress

import pytest

@pytest.mark.parametrize("name", ["A", 'B "quoted"'])
def test_sets(name: str) -> None:
    os.environ[name] = "1"

class TestClass:
    def test_sets(self) -> None:
        os.environ["C"] = "1"

@pytest.mark.skip
def test_is_skipped() -> None:
    os.environ["D"] = "1"

@pytest.mark.xfail
def test_is_expected_to_fail() -> None:
    os.environ["E"] = "1"
    assert False

def test_is_slow() -> None:
    time.sleep(0.6)

def test_asks_another_service() -> None:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", 9)).close()

def test_is_right() -> None: ...
"""

ENTRIES = """
[checks]

[guards]
"tests/test_a.py::TestClass::test_sets" = [
  "leaked_environ",
]
"tests/test_a.py::test_asks_another_service" = [
  "network: 127.0.0.1",
]
"tests/test_a.py::test_is_slow" = [
  "slow_test",
]
"tests/test_a.py::test_sets[A]" = [
  "leaked_environ",
]
"tests/test_a.py::test_sets[B \\"quoted\\"]" = [
  "leaked_environ",
]
"""

SLOW = ("-o", "savepoint_slow_test_seconds=0.5")


@pytest.fixture
def tested(sample: Sample) -> Sample:
    sample.write("tests/test_a.py", TESTS)
    return sample


@pytest.mark.parametrize("workers", [("-n", "0"), ("-n", "2"), ("-n", "2", "--dist", "loadgroup")], ids=" ".join)
def test_guards_are_written_and_let_be(tested: Sample, workers: tuple[str, ...]) -> None:
    written = tested.pytest(WRITE, *SLOW, *workers)
    text = (tested.folder / FILE).read_text()

    assert written.code == 0, written.output
    assert f"baseline: 5 findings of guards in 5 tests, written to {FILE} (5 new, 0 removed)" in written.output
    assert text == HEADER + ENTRIES

    let_be = tested.pytest(*SLOW, *workers)

    assert let_be.code == 0, let_be.output
    # What depends on the machine is allowed, and what is refused otherwise.
    assert "baseline: 3 known findings of guards in 3 tests" in let_be.output

    again = tested.pytest(WRITE, *SLOW, *workers)

    assert again.code == 0, again.output
    assert (tested.folder / FILE).read_text() == text


def test_only_what_is_named_is_let_be(tested: Sample) -> None:
    tested.write(FILE, ENTRIES.replace("127.0.0.1", "127.0.0.2"))

    outcome = tested.pytest(*SLOW)

    assert "guard network: access to 127.0.0.1:9 was blocked" in outcome.output
    assert "1 failed" in outcome.output, outcome.output


def test_what_may_fire_or_not_is_not_called_mended(tested: Sample) -> None:
    tested.write(FILE, ENTRIES.replace("test_asks_another_service", "test_is_right"))

    outcome = tested.pytest("-k", "right or slow")

    assert outcome.code == 0, outcome.output


@pytest.mark.parametrize(
    ("test", "options"),
    [("test_is_skipped", ()), ("test_is_expected_to_fail", ()), ("test_sets[A]", ("-k", "right"))],
    ids=str,
)
def test_what_did_not_pass_is_not_called_mended(tested: Sample, test: str, options: tuple[str, ...]) -> None:
    tested.write(FILE, f'[guards]\n"tests/test_a.py::{test}" = ["n_plus_one: GET /users"]\n')

    outcome = tested.pytest("-k", f"{test.partition('[')[0]}", *options)

    assert "match nothing" not in outcome.output, outcome.output


def test_a_guard_that_is_off_is_not_called_mended(tested: Sample) -> None:
    tested.write(FILE, '[guards]\n"tests/test_a.py::test_is_right" = ["n_plus_one: GET /users"]\n')

    assert tested.pytest("-k", "right").code == 1
    assert tested.pytest("-k", "right", "-o", "savepoint_disabled_guards=['n_plus_one']").code == 0


def test_a_test_that_is_gone_is_named(tested: Sample) -> None:
    tested.write(FILE, ENTRIES.replace("TestClass", "TestGone").replace("test_a.py::test_is_slow", "test_b.py::test_x"))
    gone = [
        f"{FILE}: [guards]: there is no test {test}. Delete its entries."
        for test in ("tests/test_a.py::TestGone::test_sets", "tests/test_b.py::test_x")
    ]

    outcome = tested.pytest("-n", "2")

    assert [line for line in outcome.output.splitlines() if "there is no test" in line] == gone, outcome.output
    # A file that is not collected, or not all of it, says nothing.
    assert gone[0] not in tested.pytest("tests/test_a.py::test_is_right").output

    tested.pytest(WRITE, *SLOW)

    assert (tested.folder / FILE).read_text() == HEADER + ENTRIES


def test_a_test_that_is_not_governed_is_not_failed_for_its_entries(tested: Sample) -> None:
    tested.write(FILE, '[guards]\n"tests/test_a.py::test_is_right" = ["n_plus_one: GET /users"]\n')
    tested.write("tests/test_b.py", "def test_is_governed() -> None: ...\n")

    outcome = tested.pytest("-k", "right or governed", "-o", "savepoint_governed_tests=['tests/test_b.py']")

    assert outcome.code == 0, outcome.output


ESCAPES = """
from sqlalchemy import create_engine

def test_connects_elsewhere(client) -> None:
    create_engine("postgresql+psycopg://somebody@nowhere/db").connect().close()
"""


def test_a_commit_that_escapes_is_never_let_be(sample: Sample) -> None:
    sample.write("tests/test_a.py", ESCAPES)

    written = sample.pytest(WRITE)

    assert "guard escaped_commit: " in written.output
    assert written.code == 1
    assert not (sample.folder / FILE).exists()

    sample.write(FILE, '[guards]\n"tests/test_a.py::test_connects_elsewhere" = ["escaped_commit"]\n')

    outcome = sample.pytest()

    assert outcome.code == 4
    assert (
        f"{FILE}: [guards]: tests/test_a.py::test_connects_elsewhere: escaped_commit cannot be in a baseline"
        in outcome.output
    )


def test_a_file_that_cannot_be_written_fails_the_run(tested: Sample) -> None:
    (tested.folder / FILE).mkdir()

    outcome = tested.pytest(WRITE, "-k", "sets")

    assert f"baseline: {FILE} was not written: " in outcome.output
    assert "Traceback" not in outcome.output
    assert outcome.code == 1
    assert [path.name for path in (tested.folder / "tests").glob("*.toml*")] == [Path(FILE).name]


def test_the_file_is_written_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "baseline.toml"
    path.write_text("as it was")

    with pytest.raises(AttributeError):
        write(path, {"checks": {"a": {None}}, "guards": {}})  # type: ignore[arg-type]

    assert path.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [path]

    write(path, {"checks": {}, "guards": {"a": {"b"}}})

    assert read(path, "file") == {"checks": {}, "guards": {"a": {"b"}}}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("prefix", ["", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=repr)
def test_the_file_of_an_editor_on_windows(tmp_path: Path, prefix: str, newline: str) -> None:
    path = tmp_path / "baseline.toml"

    path.write_text(f'{prefix}[guards]\na = ["b"]\n', encoding="utf-8", newline=newline)

    assert read(path, "file") == {"guards": {"a": {"b"}}}


WRONG = {
    b"[check]": "unknown key 'check'. The tables are [checks] and [guards].",
    b"checks = 1": "checks must be a table, not 1",
    b"[checks]\ntest_foreign_key_are_indexed = []": (
        "[checks]: unknown check 'test_foreign_key_are_indexed'. Did you mean test_foreign_keys_are_indexed?"
    ),
    b"[checks]\nzzz = []": "[checks]: unknown check 'zzz'. Did you mean test_alembic_cli_connects or ",
    b"[guards]\na = 'leaked_environ'": "[guards]: 'a' must be a list of strings, not 'leaked_environ'",
    b"[guards]\na = ['leaked_environ', 1]": "[guards]: 'a' must be a list of strings, not ['leaked_environ', 1]",
    b"[guards": "this is not TOML: ",
    b"# \xff": "this is not TOML: ",
}


@pytest.mark.parametrize("content", WRONG, ids=repr)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "baseline.toml"
    path.write_bytes(content)

    with pytest.raises(pytest.UsageError) as raised:
        read(path, "file")

    assert str(raised.value).startswith(f"file: {WRONG[content]}")


def test_empty_tables_are_no_entries(tmp_path: Path) -> None:
    path = tmp_path / "baseline.toml"
    path.write_text("checks = {}\nguards = {}\n")

    assert read(path, "file") == {"checks": {}, "guards": {}}


def test_a_check_that_is_asynchronous_may_have_entries(tmp_path: Path) -> None:
    path = tmp_path / "baseline.toml"
    path.write_text('[checks]\ntest_malformed_requests_get_no_5xx = ["a", "a"]\n')

    assert read(path, "file") == {"checks": {"test_malformed_requests_get_no_5xx": {"a"}}}


@pytest.mark.parametrize(
    ("mode", "known", "lets_be"),
    [("check", {"a"}, [True, False]), ("write", {"a"}, [True, True]), ("ignore", set(), [False, False])],
)
def test_what_each_mode_lets_be(mode: str, known: set[str], lets_be: list[bool]) -> None:
    baseline = Baseline(Path("baseline.toml"), mode, exists=True, checks={"c": {"a"}}, guards={"t": {"b"}})

    assert baseline.known("checks", "c") == known
    assert baseline.known("checks", "t") == set()
    assert [baseline.lets_be("checks", "c", key) for key in "ab"] == lets_be
    assert baseline.is_written is (mode == "write")


def test_the_text_has_both_tables_and_no_empty_entry() -> None:
    assert text_of({"checks": {"c": {"2", "1"}, "d": set()}, "guards": {"a b": {'"'}}}) == (
        f'{HEADER}\n[checks]\nc = [\n  "1",\n  "2",\n]\n\n[guards]\n"a b" = [\n  "\\"",\n]\n'
    )


def test_names_with_any_character_are_read_as_they_were_written(tmp_path: Path) -> None:
    names = {'a"b', "a\\b", "a\nb", "\x00\x1b\x7f", "größe 🚀", "[x]", "a.b", "", "'", "#"}
    path = tmp_path / "baseline.toml"

    path.write_text(text_of({"checks": {}, "guards": dict.fromkeys(names, names)}), encoding="utf-8")

    assert read(path, "file")["guards"] == dict.fromkeys(names, names)
    # A lone surrogate is no text.
    assert tomllib.loads(text_of({"checks": {}, "guards": {"a": {"\ud800"}}}))["guards"] == {"a": ["\\ud800"]}


def test_the_text_is_sorted() -> None:
    one = {"b": {"2", "1"}, "a": {"3"}}
    other = {"a": {"3"}, "b": {"1", "2"}, "c": set[str]()}

    assert text_of({"checks": one, "guards": {}}) == text_of({"checks": other, "guards": {}})


def test_a_difference_is_one_finding_with_two_lines() -> None:
    expected = {"column t.a": "text", "column t.b": "text", "column t.c": "text"}
    actual = {"column t.a": "integer", "column t.c": "text", "column t.d": "text"}

    found = differences(expected, actual)

    assert found == [
        Difference("column t.a", "text", "integer"),
        Difference("column t.b", "text", None),
        Difference("column t.d", None, "text"),
    ]
    assert str(found[0]) == "- column t.a: text\n+ column t.a: integer"
    assert [difference.key("lost", "new", "other") for difference in found] == [
        "other column t.a",
        "lost column t.b",
        "new column t.d",
    ]


def test_the_page_lists_each_check_by_its_severity(render: Render) -> None:
    folder = render() / "tests"
    code = "".join(path.read_text() for path in (folder / "harness/checks").glob("test_*.py"))
    declared = {
        name: SEVERITIES[severity]
        for severity, name in re.findall(r'^@finds\(\n    "(\w+)",.*?^(?:async )?def (test_\w+)', code, re.M | re.S)
    }

    rows = [line.split("|")[1:3] for line in (folder / "README.md").read_text().splitlines() if line.startswith("| ")]
    listed = {
        name: title.strip()
        for title, names in rows
        if title.strip() in SEVERITIES.values()
        for name in re.findall(r"`(test_\w+)`", names)
    }
    assert listed == declared
    assert set(re.findall(r"^(?:async )?def (test_\w+)", code, re.M)) == declared.keys()
