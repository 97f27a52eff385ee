"""The families of the catalogue, in the order of README's table."""

from types import ModuleType

from tests.mistakes import isolation
from tests.mistakes.catalogue import Mistake

FAMILIES: list[ModuleType] = [isolation]

ALL: list[Mistake] = [mistake for family in FAMILIES for mistake in family.MISTAKES]
