"""The garbage collector passes over what is loaded, and over nothing else."""

from tests.harness.sample import Sample

TESTS = """
import gc

class Cycle:
    def __init__(self) -> None:
        self.itself = self
        self.file = open(__file__)

def test_what_is_loaded() -> None:
    assert gc.get_freeze_count() > 50_000

def test_a_file_left_open_in_a_cycle() -> None:
    Cycle()
    gc.collect()
"""


def test_what_a_test_leaves_open_is_reported(sample: Sample) -> None:
    sample.write("tests/test_a.py", TESTS)

    outcome = sample.pytest()

    assert "FAILED tests/test_a.py::test_a_file_left_open_in_a_cycle" in outcome.output
    assert "1 failed, 1 passed" in outcome.output
    assert "ResourceWarning: unclosed file" in outcome.output
