"""Each mistake of the catalogue is made, and caught by what the catalogue says, in the words that it promises."""

import re
from collections.abc import Callable

import pytest

from tests.mistakes.catalogue import Guarded, Mistake, Right, Rule, Tool
from tests.mistakes.conftest import BATCHES, MakeChanged, Run, each
from tests.mistakes.families import MISTAKES, RIGHT
from tests.mistakes.project import Outcome
from tests.mistakes.table import README, current
from tests.mistakes.together import Entry
from tests.rendering import Render

ENTRIES: list[Entry] = [*MISTAKES, *RIGHT]
# Of the projects that they are made in.
ANSWERS = [dict(answers) for answers in dict.fromkeys(tuple(entry.answers.items()) for entry in ENTRIES)]


@each(MISTAKES)
def test_mistake_is_caught(tests_of: Callable[[Entry], Run], changed: MakeChanged, entry: Mistake) -> None:
    if isinstance(entry.caught_by, Tool):
        outcome = changed(entry.answers, entry.changes).tool(*entry.caught_by.command)
        assert outcome.code == 1, outcome.output
        said = outcome.output
    else:
        said = _said_by_what_catches(entry, tests_of(entry))

    assert [words for words in entry.words if words not in said] == [], said


def _said_by_what_catches(mistake: Mistake, run: Run) -> str:
    match mistake.caught_by:
        case Rule():
            outcome = run()
            # 2: what is imported by a test file ends the run before any test.
            assert outcome.code in (1, 2), outcome.output
            return outcome.output
        case Guarded(guard):
            said = _only_failure(run())
            assert said.startswith(f"guard {guard}: "), said
            # Nothing else would have noticed.
            without = run("-o", f"savepoint_disabled_guards=['{guard}']")
            assert without.code == 0, without.output
            return said
        case _:
            return _only_failure(run())


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


@each(RIGHT)
def test_what_is_right_passes(tests_of: Callable[[Entry], Run], entry: Right) -> None:
    outcome = tests_of(entry)()

    assert outcome.code == 0, outcome.output
    assert outcome.passed, outcome.output


@pytest.mark.parametrize("answers", ANSWERS, ids=lambda answers: ",".join(map(str, answers)) or "default")
def test_the_control_passes(changed: MakeChanged, url: str, answers: dict[str, object]) -> None:
    outcome = changed(answers, []).pytest(TEST_DATABASE_URL=url)

    assert outcome.code == 0, outcome.output


def test_few_runs_are_shared_by_many() -> None:
    assert len(BATCHES) <= 8
    assert sum(len(batch.entries) for batch in BATCHES) >= 60


def test_each_name_is_one_mistakes_own() -> None:
    names = [entry.name for entry in ENTRIES]

    assert sorted(set(names)) == sorted(names)


def test_the_readme_has_the_table() -> None:
    assert README.read_text() == current(), "write it: uv run python -m tests.mistakes"
