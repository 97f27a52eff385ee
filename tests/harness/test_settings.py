"""Settings are in `[tool.savepoint]`; the environment and -o override them; old names work with a warning."""

import pytest

from tests.harness.sample import Sample

SHOWS = """
import pytest
from tests.harness.core.settings import settings_of

def test_shows(pytestconfig: pytest.Config) -> None:
    print(settings_of(pytestconfig))
"""


@pytest.fixture
def shown(sample: Sample) -> Sample:
    sample.write("tests/test_a.py", SHOWS)
    return sample


def set_(sample: Sample, line: str) -> None:
    path = sample.folder / "pyproject.toml"
    path.write_text(path.read_text().replace("[tool.savepoint]\n", f"[tool.savepoint]\n{line}\n"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('guards_off = ["network"]', "unknown setting 'guards_off'. Did you mean disabled_guards?"),
        ("slow_tests_seconds = 30", "unknown setting 'slow_tests_seconds'. Did you mean slow_test_seconds?"),
        ('slow_test_seconds = "long"', "slow_test_seconds must be a number, not 'long'"),
        ("slow_test_seconds = true", "slow_test_seconds must be a number, not True"),
        ('n_plus_one_threshold = "5"', "n_plus_one_threshold must be an integer, not '5'"),
        ("n_plus_one_threshold = 1", "n_plus_one_threshold must be at least 2, not 1"),
        ("test_timeout_seconds = nan", "test_timeout_seconds must be at least 0, not nan"),
        ("test_timeout_seconds = inf", "test_timeout_seconds must be at least 0, not inf"),
        ('disabled_guards = "network"', "disabled_guards must be a list of strings, not 'network'"),
        ("disabled_guards = [1]", "disabled_guards must be a list of strings, not [1]"),
        ("malformed_request_client = 1", "malformed_request_client must be a string, not 1"),
    ],
)
def test_a_wrong_setting_is_one_line(shown: Sample, line: str, message: str) -> None:
    set_(shown, line)

    outcome = shown.pytest("-q")

    assert outcome.code == 4
    assert outcome.output.strip() == f"ERROR: pyproject.toml: [tool.savepoint]: {message}"


def test_a_guard_that_is_unknown_is_one_line(shown: Sample) -> None:
    set_(shown, 'disabled_guards = ["netwrok"]')

    outcome = shown.pytest("-q")

    assert outcome.code == 4
    assert (
        "ERROR: disabled_guards in pyproject.toml: unknown guard 'netwrok'. Guards: blocking_call, " in outcome.output
    )


def test_overrides_of_one_run(shown: Sample) -> None:
    set_(shown, "slow_test_seconds = 20")

    by_file = shown.pytest("-s")
    by_environment = shown.pytest("-s", SAVEPOINT_SLOW_TEST_SECONDS="30", SAVEPOINT_DISABLED_GUARDS="['network']")
    by_option = shown.pytest("-s", "-o", "savepoint_slow_test_seconds=40", SAVEPOINT_SLOW_TEST_SECONDS="30")
    wrong = shown.pytest(SAVEPOINT_SLOW_TEST_SECONDS="long")

    assert "slow_test_seconds=20.0" in by_file.output, by_file.output
    assert "slow_test_seconds=30.0" in by_environment.output, by_environment.output
    assert "disabled_guards=('network',)" in by_environment.output
    assert "slow_test_seconds=40.0" in by_option.output, by_option.output
    assert wrong.output.strip() == "ERROR: SAVEPOINT_SLOW_TEST_SECONDS: slow_test_seconds must be a number, not 'long'"


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("SLOW_TESTS_SECONDS", "slow_test_seconds"),
        ("DISABLED_GUARD", "disabled_guards"),
        ("GUARDS_OFF", "disabled_guards"),
    ],
)
def test_a_misspelled_variable_is_one_line(shown: Sample, name: str, setting: str) -> None:
    outcome = shown.pytest("-q", **{f"SAVEPOINT_{name}": "30"})

    assert outcome.code == 4
    said = f"ERROR: SAVEPOINT_{name}: unknown setting {name.lower()!r}. Did you mean {setting}?"
    assert outcome.output.strip() == said


def test_a_variable_that_resembles_no_setting_is_ignored(shown: Sample) -> None:
    outcome = shown.pytest(
        "-q",
        SAVEPOINT_DOCKER="unix:///docker.sock",
        SAVEPOINT_DATABASE_URL="postgresql://nowhere/service",
        SAVEPOINT_TIMEOUT_SECONDS="5",
    )

    assert "1 passed" in outcome.output, outcome.output


OLD = """\
guards_off = ["waiting", "network"]
only_in_migrations = ["trigger public.users.*"]
slow_test_seconds = 30
odd_requests_by = "user_client"
"""


def test_old_settings_work_with_a_warning(shown: Sample) -> None:
    path = shown.folder / "pyproject.toml"
    path.write_text(path.read_text().replace("[tool.pytest.ini_options]\n", f"[tool.pytest.ini_options]\n{OLD}"))

    outcome = shown.pytest("-q", "-s")

    assert outcome.code == 0, outcome.output
    for setting in (
        "disabled_guards=('waiting', 'network')",
        "ignore_drift=('trigger public.users.*',)",
        "slow_test_seconds=30.0",
        "malformed_request_client='user_client'",
    ):
        assert setting in outcome.output
    for line in (
        'disabled_guards = ["waiting", "network"]',
        'ignore_drift = ["trigger public.users.*"]',
        "slow_test_seconds = 30",
        'malformed_request_client = "user_client"',
    ):
        assert f"Write under [tool.savepoint] of pyproject.toml: {line}\n" in outcome.output, outcome.output
    assert (
        'savepoint: guard "waiting" is deprecated and will be removed in 1.0. Write: idle_in_transaction'
        in outcome.output
    )


def test_a_new_setting_overrides_an_old_one(shown: Sample) -> None:
    set_(shown, "slow_test_seconds = 20")
    path = shown.folder / "pyproject.toml"
    path.write_text(
        path.read_text().replace("[tool.pytest.ini_options]\n", "[tool.pytest.ini_options]\nslow_test_seconds = 30\n")
    )

    outcome = shown.pytest("-s")

    assert "slow_test_seconds=20.0" in outcome.output, outcome.output
    said = "It is 30, but slow_test_seconds under [tool.savepoint] is 20, and is used. Delete one."
    assert said in outcome.output


def test_old_marks_and_options_work_with_a_warning(sample: Sample) -> None:
    sample.write(
        "tests/test_a.py",
        """
import os
import pytest

@pytest.mark.allow("environment")
@pytest.mark.allow("network", "api.example.com:443")
def test_a() -> None:
    os.environ["LEFT"] = "1"
""",
    )

    outcome = sample.pytest("-q", "--rebuild-schema", "--database-report=3")

    assert outcome.code == 0, outcome.output
    assert "query report" in outcome.output
    assert 'Write: @pytest.mark.allow_guard("leaked_environ")\n' in outcome.output
    assert 'Write: @pytest.mark.allow_guard("network", "api.example.com:443")\n' in outcome.output
    assert "--rebuild-schema is deprecated and will be removed in 1.0. Write: --create-db\n" in outcome.output
    assert "Write: --query-report=3\n" in outcome.output


def test_the_new_names_stand_below_the_failed_tests(sample: Sample) -> None:
    sample.write("tests/test_a.py", "def test_a() -> None:\n    assert False\n")

    outcome = sample.pytest("--rebuild-schema")

    _, _, end = outcome.output.partition("short test summary info")
    assert "FAILED tests/test_a.py::test_a" in end, outcome.output
    assert "savepoint: --rebuild-schema is deprecated" in end.partition("FAILED")[2]


DOCTEST = '"""A module.\n\n>>> 1 + 1\n2\n"""\n'


def test_calls_of_pytest_that_do_not_load_the_harness(sample: Sample) -> None:
    """pytest's section has no key of the harness."""
    (sample.folder / "src/sample/sums.py").write_text(DOCTEST)

    outcome = sample.pytest("--doctest-modules", "src/sample/sums.py")

    assert "1 passed" in outcome.output, outcome.output


@pytest.mark.parametrize("arguments", [["test_a.py"], []])
def test_a_subfolder(shown: Sample, arguments: list[str]) -> None:
    """As in an editor that runs one file, or in a shell in tests/."""
    command = shown.command(*arguments)

    outcome = shown.run("sh", "-c", 'cd tests && exec "$@"', "sh", *command)

    assert outcome.returncode == 0, outcome.stdout
    assert "passed" in outcome.stdout


@pytest.mark.parametrize(
    "line", ['malformed_request_client = "admn_client"', 'malformed_request_fixtures = ["admn_client"]']
)
def test_a_fixture_that_is_unknown_fails_the_check(sample: Sample, line: str) -> None:
    set_(sample, line)

    outcome = sample.checks()

    assert f"[tool.savepoint]: {line.split(' =')[0]}: there is no fixture 'admn_client'." in outcome.output


def test_a_guard_whose_name_is_taken_is_refused(sample: Sample) -> None:
    conftest = sample.folder / "tests" / "conftest.py"
    guard = 'Guard("slow_test", why="It is slow.", instead="Be quick.")'
    conftest.write_text(f"{conftest.read_text()}\nfrom tests.harness import Guard\n\n{guard}\n")
    sample.write("tests/test_a.py", "def test_a() -> None: ...\n")

    outcome = sample.pytest()

    assert "there is another guard named 'slow_test'" in outcome.output, outcome.output
