"""Transactions that commit too late, too much, or not at all."""

from tests.mistakes.catalogue import Mistake, Right

TITLE = "Transactions"

MISTAKES: list[Mistake] = []

RIGHT: list[Right] = []
