"""A library without a private part that the harness uses ends the run, by its name and version."""

from tests.harness.sample import Sample

CHANGED = """
import anyio._backends._asyncio as backend

del backend.TestRunner._call_in_runner_task
"""


def test_a_library_that_has_changed_ends_the_run_with_one_line(sample: Sample) -> None:
    sample.write("tests/test_a.py", "def test_a() -> None: ...\n")
    sample.write("changed.py", CHANGED)

    outcome = sample.pytest_from_start("-p", "changed")

    assert outcome.code == 4
    assert outcome.output.strip() == (
        "ERROR: tests/harness uses anyio._backends._asyncio.TestRunner._call_in_runner_task, which anyio "
        f"{installed(sample)} does not have. Update the harness (copier update), or install an older version."
    )


def installed(sample: Sample) -> str:
    code = "from importlib.metadata import version; print(version('anyio'))"
    return sample.check(sample.python, "-c", code).strip()
