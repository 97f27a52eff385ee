"""The families of the catalogue, in the order of README's table."""

from types import ModuleType

from tests.mistakes import (
    api,
    isolation,
    locks,
    migrations,
    models,
    payments,
    performance,
    resources,
    services,
    transactions,
)
from tests.mistakes.catalogue import Mistake, Right

FAMILIES: list[ModuleType] = [models, migrations, locks, transactions, resources, isolation, performance, api, payments]

MISTAKES: list[Mistake] = [mistake for family in FAMILIES for mistake in family.MISTAKES]
RIGHT: list[Right] = [right for family in [*FAMILIES, services] for right in family.RIGHT]
