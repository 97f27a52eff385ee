"""`--revisions-since`: the files that a branch has added. An unknown commit is a usage error of one line."""

from pathlib import Path

import pytest
from harness.schema.new_revisions import added_since

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


def test_names_that_are_not_ascii(tmp_path: Path) -> None:
    """A message such as "größe" is in the file's name, and git quotes such a name in lists for people."""
    git(tmp_path, "init", "--quiet", "-b", "main")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", "First")
    committed, new = tmp_path / "1_größe.py", tmp_path / "2 Ωmega.py"
    committed.touch()
    git(tmp_path, "add", "-A")
    new.touch()

    assert added_since(tmp_path, "main") == {committed, new}
