"""Savepoint tests: correct code passes, and code that one transaction cannot imitate is refused with advice.

The cases are tests of the sample project, in `cases/`, run by a pytest of their own.
"""

import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.environment import UV, Project, synced
from tests.harness.sample import Sample

# The cases are run once for all tests that look at what they said, and not by each worker.
pytestmark = pytest.mark.xdist_group("savepoint")

Run = Callable[[str], dict[str, str | None]]

CASES = Path(__file__).with_name("cases")

DRIVERS = ("asyncpg", "psycopg")
OLDEST = "2.0.40"

TWO_TASKS = "Two tasks use the database at the same time"
ROLLBACK = "would also undo what another transaction has"
OWN = "@pytest.mark.own_database"
STILL_OPEN = "Still open when the test ended: a checked-out connection ("
SWALLOWED = "nothing is saved"

REFUSED = {
    "test_gathered_requests": [TWO_TASKS, OWN],
    "test_gathered_requests_whose_errors_are_swallowed": [TWO_TASKS, OWN, "The error was caught"],
    "test_a_task_group_of_sessions_that_write": [TWO_TASKS, OWN],
    "test_flush_inside_a_session_of_the_application": [ROLLBACK, "written", OWN],
    "test_insert_inside_a_session_of_the_application": [ROLLBACK, "written", OWN],
    "test_a_commit_inside_a_session_that_is_rolled_back": [ROLLBACK, "committed", OWN],
    "test_a_commit_inside_that_was_released_since": [ROLLBACK, "committed", OWN],
    "test_a_commit_inside_a_session_that_has_failed": [ROLLBACK, "committed", OWN],
    "test_a_request_inside_a_savepoint_of_the_test_that_is_rolled_back": [ROLLBACK, "committed", OWN],
    "test_a_commit_inside_a_savepoint_that_is_rolled_back": [ROLLBACK, "committed", OWN],
    "test_a_flush_inside_a_savepoint_that_is_rolled_back": [ROLLBACK, "written", OWN],
    "test_a_flush_inside_a_savepoint_that_is_released": ["A savepoint was released", OWN],
    "test_deferred_constraint": ["node_parent_fkey"],
    "test_a_commit_while_another_session_violates_a_deferred_constraint": ["The rows of either may violate it", OWN],
    "test_a_deferred_constraint_that_a_function_violates": ["node_parent_fkey"],
    "test_a_task_that_outlives_its_test": ["guard leaked_task", "test_cases.py"],
    "test_writing_after_a_failed_flush": ["first issue Session.rollback()"],
    "test_another_isolation_level": ["The isolation level cannot change after the test's transaction has begun", OWN],
    "test_a_commit_as_sql": ["BEGIN, COMMIT or ROLLBACK was sent as SQL", "await session.commit()"],
    "test_a_commit_by_the_driver": ["The test's transaction has ended", "is recreated", OWN],
    "test_a_commit_by_the_driver_and_no_fixture_of_the_harness": [
        "The test's transaction has ended",
        "is recreated",
        OWN,
    ],
    "test_the_driver_commits_and_begins_again[COMMIT; BEGIN]": ["The test's transaction has ended", OWN],
    "test_the_driver_commits_and_begins_again[COMMIT AND CHAIN]": ["The test's transaction has ended", OWN],
    "test_the_driver_begins_again_and_its_error_is_caught": ["The test's transaction has ended", OWN],
    "test_a_commit_as_sql_in_a_fixture": ["BEGIN, COMMIT or ROLLBACK was sent as SQL", "await session.commit()"],
    "test_a_connection_that_is_lost_after_a_commit": ["The server closed the connection of the test", OWN],
    "test_a_session_that_is_left_open": [STILL_OPEN, "test_cases.py", "Close the session"],
    "test_an_error_that_is_swallowed": [SWALLOWED, "session.begin_nested()"],
    "test_an_error_that_is_swallowed_while_another_session_writes": [SWALLOWED, "session.begin_nested()"],
    "test_a_synchronous_engine": ["guard escaped_commit", "a synchronous engine (psycopg)", OWN],
    "test_another_event_loop": ["guard escaped_commit", "another thread or event loop", OWN],
    "test_a_fixture_of_a_wider_scope_writes": [
        "a fixture with a wider scope than function wrote to the database",
        "`seed_data`",
    ],
    "test_a_late_fixture_of_a_wider_scope_writes": ["The fixture `late_in_savepoint` with scope module", "`seed_data`"],
    "test_a_late_fixture_writes_to_a_database_of_the_test": ["The fixture `late_in_own_database`", "`seed_data`"],
    "test_a_late_fixture_connects_first": ["The fixture `late_and_first`", "was set up during a test"],
    "test_a_connection_of_a_database_of_its_own_that_is_kept": [STILL_OPEN, "test_cases.py"],
}


@pytest.fixture(scope="session")
def oldest_project(sample_project: Project, environments: Path, default_python: Path) -> Project:
    """The sample, in an environment with the oldest SQLAlchemy that the harness supports."""
    project = synced(sample_project.folder, environments / "oldest-environment", default_python)
    project.check(UV, "pip", "install", "--python", project.python, f"sqlalchemy=={OLDEST}")
    return project


@pytest.fixture(
    scope="module", params=[(driver, sql) for driver in DRIVERS for sql in ("newest", OLDEST)], ids="-".join
)
def run(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Run:
    """Runs a module of cases in the sample project on one driver: the error of each case, None if it passed."""
    driver, sqlalchemy = request.param
    project: Project = request.getfixturevalue("oldest_project" if sqlalchemy == OLDEST else "sample_project")

    def run(module: str) -> dict[str, str | None]:
        sample = Sample.of(project, tmp_path_factory.mktemp("cases") / "sample")
        settings = sample.folder / "src" / "sample" / "settings.py"
        settings.write_text(settings.read_text().replace("postgresql+asyncpg", f"postgresql+{driver}"))
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


@pytest.mark.parametrize(("module", "count"), [("right", 42), ("seeded", 4), ("polls", 31), ("commits", 72)])
def test_correct_code_passes(run: Run, module: str, count: int) -> None:
    right = run(module)

    assert len(right) == count
    assert {name: message for name, message in right.items() if message is not None} == {}


@pytest.mark.parametrize("name", REFUSED)
def test_unsupported_code_is_refused(refused: dict[str, str | None], name: str) -> None:
    message = refused[name]

    assert message is not None, f"{name} passed"
    for words in REFUSED[name]:
        assert words in message
    # asyncpg's errors for a connection that is reused during a statement.
    assert "another operation is in progress" not in message
    assert "manually started transaction" not in message


def test_a_refusal_in_a_fixture_is_reported_once(refused: dict[str, str | None]) -> None:
    assert "The error was caught" not in str(refused["test_a_commit_as_sql_in_a_fixture"])


def test_every_refused_case_failed_and_left_nothing(refused: dict[str, str | None]) -> None:
    assert {name for name, message in refused.items() if message is not None} == REFUSED.keys()
    assert refused["test_after_it_all_is_well"] is None
    assert refused["test_z_nothing_has_leaked"] is None
