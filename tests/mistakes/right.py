"""Code that is right, and must pass: a guard that nobody can live with is turned off."""

from tests.mistakes.catalogue import File, Right

RIGHT = [
    Right(
        "a variable of the environment, set by monkeypatch",
        [
            File(
                "tests/test_right.py",
                """
import os

import pytest

def test_another_currency(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFAULT_CURRENCY", "chf")
    assert os.environ["DEFAULT_CURRENCY"] == "chf"
""",
            )
        ],
    ),
]
