"""What is quick with the three rows of a test, and slow with those of production."""

from tests.mistakes.catalogue import Mistake, Right

TITLE = "Performance"

MISTAKES: list[Mistake] = []

RIGHT: list[Right] = []
