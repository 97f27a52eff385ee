"""The run's page on GitHub: counts and failures where a job has one, and nothing elsewhere."""

import pytest

from tests.harness.sample import Sample

TESTS = """
import pytest

@pytest.mark.parametrize("number", range(25))
def test_fails(number: int) -> None:
    assert number < 0, "<" + "x" * 20_000 + ">"

def test_passes() -> None: ...

@pytest.mark.skip
def test_is_skipped() -> None: ...
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_failures_are_shown_and_shortened(sample: Sample, workers: str) -> None:
    sample.write("tests/test_a.py", TESTS)
    page = sample.folder / "page.md"
    page.write_text("What an earlier step has written.\n")

    sample.pytest("-n", workers, GITHUB_STEP_SUMMARY=str(page))

    lines = page.read_text().splitlines()
    assert lines[:2] == ["What an earlier step has written.", "### Tests: 25 failed, 1 passed, 1 skipped"]
    assert lines[-1] == "5 more failures: see the log."
    failures = [line for line in lines if line.startswith("<details>")]
    assert len(failures) == 20
    assert all("xxx&gt;" in line and "x" * 10_000 not in line for line in failures)


def test_what_cannot_be_collected_is_shown(sample: Sample) -> None:
    sample.write("tests/test_a.py", "import nothing_of_the_kind\n")
    page = sample.folder / "page.md"

    sample.pytest(GITHUB_STEP_SUMMARY=str(page))

    assert page.read_text().startswith("### Tests: 1 error\n")
    assert "nothing_of_the_kind" in page.read_text()


@pytest.mark.parametrize("place", ["missing/page.md", "."])
def test_a_page_that_cannot_be_written_fails_no_run(sample: Sample, place: str) -> None:
    """A runner's folder that is not mounted in the container of the job, and a folder instead of a file."""
    sample.write("tests/test_a.py", "def test_passes() -> None: ...\n")

    outcome = sample.pytest(GITHUB_STEP_SUMMARY=str(sample.folder / place))

    assert outcome.code == 0
    assert "1 passed" in outcome.output
    assert "the job summary was not written: GITHUB_STEP_SUMMARY=" in outcome.output
