"""Tests that are not alone: what one leaves for the next, or takes from the developer's machine."""

from tests.mistakes.catalogue import File, Guarded, Mistake

TITLE = "Isolation"

MISTAKES = [
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
