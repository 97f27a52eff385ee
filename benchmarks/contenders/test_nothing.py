"""What pytest itself takes and keeps: tests that do nothing, and take no fixture."""

import os

import pytest


@pytest.mark.parametrize("number", range(int(os.environ["TESTS"])))
def test_nothing(number: int) -> None:
    pass
