"""A project's own guard, as `tests/README.md` shows it: it fires, restores, and is allowed and disabled by its name."""

import pytest

from tests.environment import UV
from tests.harness.sample import Outcome, Sample
from tests.pages import python_blocks

TESTS = """
import logging

import pytest


def test_leaves_a_level() -> None:
    logging.root.setLevel(logging.DEBUG)


def test_fails_and_leaves_a_level() -> None:
    logging.root.setLevel(logging.DEBUG)
    assert False


@pytest.mark.allow_guard("leaked_log_level")
def test_is_allowed() -> None:
    logging.root.setLevel(logging.DEBUG)


def test_restores(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


def test_finds_the_level_of_the_run() -> None:
    assert logging.root.level == logging.WARNING
"""


def page_example(sample: Sample) -> str:
    [example] = python_blocks((sample.folder / "tests/README.md").read_text(), "### Write a guard")
    return example


@pytest.fixture
def guarded(sample: Sample) -> Sample:
    """The sample, with the page's example in its conftest."""
    conftest = sample.folder / "tests/conftest.py"
    conftest.write_text(f"{conftest.read_text()}\n\n{page_example(sample)}")
    sample.write("tests/test_a.py", TESTS)
    return sample


def run(guarded: Sample, test: str, *arguments: str) -> Outcome:
    """One test, and the one that looks at what it has left."""
    names = f"tests/test_a.py::{test}", "tests/test_a.py::test_finds_the_level_of_the_run"
    return guarded.pytest("-p", "no:randomly", "-rA", *arguments, *names)


def test_it_fires(guarded: Sample) -> None:
    outcome = run(guarded, "test_leaves_a_level")

    assert "ERROR tests/test_a.py::test_leaves_a_level" in outcome.output
    assert "guard leaked_log_level: the test left the root logger at DEBUG.\n" in outcome.output
    assert "Later tests log more or less than they do alone." in outcome.output
    assert "Use caplog.set_level(), which is undone." in outcome.output
    assert '@pytest.mark.allow_guard("leaked_log_level")' in outcome.output
    assert "PASSED tests/test_a.py::test_finds_the_level_of_the_run" in outcome.output


def test_it_restores_after_a_failure(guarded: Sample) -> None:
    outcome = run(guarded, "test_fails_and_leaves_a_level")

    assert "FAILED tests/test_a.py::test_fails_and_leaves_a_level" in outcome.output
    assert "PASSED tests/test_a.py::test_finds_the_level_of_the_run" in outcome.output


def test_it_is_allowed_by_a_mark(guarded: Sample) -> None:
    outcome = run(guarded, "test_is_allowed")

    assert "2 passed" in outcome.output, outcome.output


def test_it_is_disabled_by_a_setting(guarded: Sample) -> None:
    disabled = "savepoint_disabled_guards=['leaked_log_level']"

    assert "1 passed" in guarded.pytest("-o", disabled, "tests/test_a.py::test_leaves_a_level").output


def test_code_that_restores_passes(guarded: Sample) -> None:
    outcome = run(guarded, "test_restores")

    assert "2 passed" in outcome.output, outcome.output
    assert "warning" not in outcome.output.lower(), outcome.output


def test_an_unknown_name_is_refused_with_its_name_in_the_list(guarded: Sample) -> None:
    outcome = guarded.pytest("-o", "savepoint_disabled_guards=['log_level']", "tests/test_a.py")

    assert outcome.code == 4
    assert "unknown guard 'log_level'" in outcome.output
    assert "leaked_log_level" in outcome.output


def test_the_example_is_formatted_linted_and_typed(sample: Sample) -> None:
    sample.write("tests/own_guard.py", page_example(sample))

    sample.check(UV, "run", "--no-sync", "ruff", "format", "--check", "tests/own_guard.py")
    sample.check(UV, "run", "--no-sync", "ruff", "check", "tests/own_guard.py")
    sample.check(UV, "run", "--no-sync", "mypy", "tests/own_guard.py")
