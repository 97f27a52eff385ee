"""Tests that are not alone: what one leaves for the next, or takes from the developer's machine."""

from tests.mistakes.catalogue import File, Guarded, Mistake, Right

TITLE = "Isolation"

MISTAKES: list[Mistake] = [
    Mistake(
        "a variable of the environment that a test leaves changed",
        "The next test reads other settings, and passes or fails by the order of tests.",
        [
            File(
                "tests/test_mistake.py",
                """
import os

def test_another_currency() -> None:
    os.environ["DEFAULT_CURRENCY"] = "chf"
    assert os.environ["DEFAULT_CURRENCY"] == "chf"
""",
            )
        ],
        Guarded("environment"),
        ["guard environment", "DEFAULT_CURRENCY", "monkeypatch.setenv"],
    ),
]

# Code that is right, and must pass: a guard that nobody can live with is turned off.
RIGHT: list[Right] = [
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
