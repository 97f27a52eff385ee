"""Migrations that do not say what the models say, cannot be taken back, or break what is there."""

from tests.mistakes.catalogue import Mistake, Right

TITLE = "Migrations"

MISTAKES: list[Mistake] = []

RIGHT: list[Right] = []
