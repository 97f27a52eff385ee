"""The rules of a savepoint test: what is right passes, and what it cannot hold is refused with words that help.

The cases are tests of the sample project, in `cases/`, run by a pytest of their own.
"""

import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.environment import Project
from tests.harness.sample import Sample

Run = Callable[[str], dict[str, str | None]]

CASES = Path(__file__).with_name("cases")

TWO_TASKS = "two tasks use the database at once"
OUT_OF_ORDER = "sessions end out of order"
WRITES_INSIDE = "db_session writes while a session of the application is open"
OWN = "own_database"
HAS_ENDED = "the test's transaction has ended"

REFUSED = {
    "test_gathered_requests": [TWO_TASKS, OWN],
    "test_gathered_requests_whose_errors_are_swallowed": [TWO_TASKS, OWN, "The error was caught"],
    "test_sessions_out_of_order": [OUT_OF_ORDER, OWN],
    "test_flush_inside_a_session_of_the_application": [WRITES_INSIDE, OWN],
    "test_insert_inside_a_session_of_the_application": [WRITES_INSIDE, OWN],
    "test_commit_after_a_failed_flush": [HAS_ENDED, "db_session.begin_nested()"],
    "test_commit_after_a_rollback_of_the_tests_session": [HAS_ENDED, "db_session.begin_nested()"],
    "test_rollback_of_the_tests_session_whose_error_is_swallowed": [HAS_ENDED, "The error was caught"],
    "test_commit_of_the_connection_itself": ["would have committed"],
    "test_deferred_constraint": ["a deferred constraint does not hold"],
    "test_a_task_that_outlives_its_test": ["a session of the application is still open"],
    "test_a_commit_inside_a_session_that_is_rolled_back": ["took along what another session had committed", OWN],
    "test_reading_after_a_statement_that_was_cancelled": ["a statement was cancelled while it ran", OWN],
    "test_a_task_group_of_sessions": [TWO_TASKS, OWN],
    "test_writing_after_a_failed_flush": [HAS_ENDED, "db_session.begin_nested()"],
    "test_another_isolation_level": ["the isolation level of the test's transaction cannot change", OWN],
    "test_a_connection_of_a_database_of_its_own_that_is_kept": ["1 of its connections are still in use"],
}


@pytest.fixture(scope="module")
def run(sample_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a module of cases in the sample project: the failure of each by its name, None if it passed."""

    def run(module: str) -> dict[str, str | None]:
        sample = Sample.of(sample_project, tmp_path_factory.mktemp("cases") / "sample")
        shutil.copy(CASES / f"{module}.py", sample.folder / "tests" / "test_cases.py")
        # In the order they are written: the last of them looks for what the others left.
        outcome = sample.pytest("-p", "no:randomly", "--junit-xml=report.xml")
        report = ElementTree.parse(sample.folder / "report.xml").getroot()  # noqa: S314 - our own pytest wrote it
        messages: dict[str, str | None] = {}
        for case in report.iter("testcase"):
            failures = [*case.iter("failure"), *case.iter("error")]
            # A case may fail and then fail at teardown too: pytest reports that as two.
            texts = [f"{failure.get('message')}\n{failure.text}" for failure in failures]
            if texts or case.attrib["name"] not in messages:
                messages[case.attrib["name"]] = "\n".join(texts) or None
        assert messages, outcome.output
        return messages

    return run


@pytest.fixture(scope="module")
def refused(run: Run) -> dict[str, str | None]:
    """The cases of `refused.py`."""
    return run("refused")


def test_what_is_right_passes(run: Run) -> None:
    right = run("right")

    assert len(right) == 30
    assert {name: message for name, message in right.items() if message is not None} == {}


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_cannot_hold_is_refused(refused: dict[str, str | None], name: str) -> None:
    message = refused[name]

    assert message is not None, f"{name} passed"
    for words in REFUSED[name]:
        assert words in message
    # What asyncpg says of a connection that was handed on in the middle of a statement.
    assert "another operation is in progress" not in message
    assert "manually started transaction" not in message


def test_every_refusal_was_tried_and_none_of_them_leaked(refused: dict[str, str | None]) -> None:
    assert {name for name, message in refused.items() if message is not None} == REFUSED.keys()
    assert refused["test_after_it_all_is_well"] is None
    assert refused["test_z_nothing_has_leaked"] is None
