"""What a stranger may ask, and what they must not be told."""

from tests.mistakes.catalogue import Mistake, Right

TITLE = "API and security"

MISTAKES: list[Mistake] = []

RIGHT: list[Right] = []
