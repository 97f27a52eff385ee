"""`--revisions-since` with an unknown commit is a usage error of one line, before any test."""

import pytest

from tests.harness.sample import Sample
from tests.rendering import git


@pytest.mark.parametrize(
    ("is_repository", "words"), [(True, "Not a valid object name nowhere"), (False, "not a git repository")]
)
def test_an_unknown_commit(sample: Sample, is_repository: bool, words: str) -> None:
    if is_repository:
        git(sample.folder, "init", "--quiet")
    sample.write("tests/test_a.py", "def test_nothing() -> None: ...\n")

    outcome = sample.pytest("--revisions-since=nowhere", GIT_CEILING_DIRECTORIES=str(sample.folder.parent))

    assert outcome.code == 4
    [line] = [line for line in outcome.output.splitlines() if line]
    assert line.startswith("ERROR: --revisions-since nowhere: git failed: ")
    assert words in line
