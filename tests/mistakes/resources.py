"""What is started and not awaited, opened and not closed, or blocks whatever else is under way."""

from tests.mistakes.catalogue import Mistake, Right

TITLE = "Async and resources"

MISTAKES: list[Mistake] = []

RIGHT: list[Right] = []
