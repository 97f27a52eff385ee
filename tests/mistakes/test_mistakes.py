"""Each mistake of the catalogue is made, and caught by what the catalogue says, in the words that it promises."""

import re

import pytest

from tests.mistakes.catalogue import Check, Guarded, Mistake, Right, Rule, SampleTest, Tool
from tests.mistakes.conftest import MakeChanged
from tests.mistakes.families import MISTAKES, RIGHT
from tests.mistakes.project import Changed, Outcome
from tests.mistakes.table import README, current
from tests.rendering import Render

ENTRIES: list[Mistake | Right] = [*MISTAKES, *RIGHT]
# Of the projects that they are made in.
ANSWERS = [dict(answers) for answers in dict.fromkeys(tuple(entry.answers.items()) for entry in ENTRIES)]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_mistake_is_caught(changed: MakeChanged, url: str, mistake: Mistake) -> None:
    project = changed(mistake.answers, mistake.changes)

    said = _said_by_what_catches(mistake, project, url)

    assert [words for words in mistake.words if words not in said] == [], said


def _said_by_what_catches(mistake: Mistake, project: Changed, url: str) -> str:
    match mistake.caught_by:
        case Tool(_, command):
            outcome = project.tool(*command)
            assert outcome.code == 1, outcome.output
            return outcome.output
        case Check() | SampleTest():
            return _only_failure(project.pytest(*mistake.tests, TEST_DATABASE_URL=url))
        case Rule():
            outcome = project.pytest(*mistake.tests, TEST_DATABASE_URL=url)
            # 2: what is imported by a test file ends the run before any test.
            assert outcome.code in (1, 2), outcome.output
            return outcome.output
        case Guarded(guard):
            said = _only_failure(project.pytest(*mistake.tests, TEST_DATABASE_URL=url))
            assert said.startswith(f"guard {guard}: "), said
            # Nothing else would have noticed.
            without = project.pytest(
                *mistake.tests, "-o", f"savepoint_disabled_guards=['{guard}']", TEST_DATABASE_URL=url
            )
            assert without.code == 0, without.output
            return said


def _only_failure(outcome: Outcome) -> str:
    """What the one test that failed said; parameters of one test may fail together, and other tests may not."""
    assert outcome.code == 1, outcome.output
    assert len({name.partition("[")[0] for name in outcome.failed}) == 1, outcome.output
    return next(iter(outcome.failed.values()))


def test_each_guard_is_made_to_fire_and_described(render: Render) -> None:
    project = render()

    code = "".join(path.read_text() for path in (project / "tests" / "harness").rglob("*.py"))
    guards = set(re.findall(r'= Guard\(\s*"(\w+)"', code))
    fired = {mistake.caught_by.guard for mistake in MISTAKES if isinstance(mistake.caught_by, Guarded)}
    described = re.findall(r"^\| `(\w+)` \| ", (project / "tests" / "README.md").read_text(), re.MULTILINE)
    assert guards
    assert guards - fired == guards - set(described) == set()


@pytest.mark.parametrize("right", RIGHT, ids=lambda right: right.name)
def test_what_is_right_passes(changed: MakeChanged, url: str, right: Right) -> None:
    outcome = changed(right.answers, right.changes).pytest(*right.tests, TEST_DATABASE_URL=url)

    assert outcome.code == 0, outcome.output
    assert outcome.passed, outcome.output


@pytest.mark.parametrize("answers", ANSWERS, ids=lambda answers: ",".join(map(str, answers)) or "default")
def test_the_control_passes(changed: MakeChanged, url: str, answers: dict[str, object]) -> None:
    outcome = changed(answers, []).pytest(TEST_DATABASE_URL=url)

    assert outcome.code == 0, outcome.output


def test_each_name_is_one_mistakes_own() -> None:
    names = [entry.name for entry in ENTRIES]

    assert sorted(set(names)) == sorted(names)


def test_the_readme_has_the_table() -> None:
    assert README.read_text() == current(), "write it: uv run python -m tests.mistakes"
