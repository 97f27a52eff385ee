"""Compares the schema of the migrations with the schema of the models, by PostgreSQL's catalog.

Alembic's comparison is not asked whether they differ: it ignores the expression of a CHECK, triggers or policies, and
finds differences in a JSON default, a long name or a second schema that are none. It words the operations.
"""

import re
from collections.abc import Collection
from fnmatch import fnmatchcase

from .alteration import renames
from .catalog import Catalog, Difference, Rows, all_differences, catalog_by, identifiers, split, wholes
from .created_models import CreatedModels
from .meaning import with_other_meaning

PARTITION = re.compile(r"^(?:unlogged )?(?:partitioned )?table partition of (.*?) (?:FOR VALUES|DEFAULT)")
# PostgreSQL cuts a name at 63 bytes; SQLAlchemy ends a long name with four digits of a hash.
CUT, HASHED = 63, re.compile(r'(.{40,})_[0-9a-f]{4}"?$')


class Comparison:
    """Compares databases with the database of the models.

    Args:
        models: what was created from the models.
        ignored: patterns of objects and attributes, as the check prints them: the setting `ignore_drift`.

    Attributes:
        matched: the patterns that match a difference.
    """

    def __init__(self, models: CreatedModels, ignored: Collection[str] = ()) -> None:
        self._rows = models.rows
        self._ignored = ignored
        self._left_out = models.left_out.keys()
        self.expected: Catalog = {
            name: definition for name, definition in catalog_by(models.rows).items() if name not in models.copied
        }
        self.matched: set[str] = set()

    def differences(self, migrated: Rows, actual: Catalog | None = None) -> list[Difference]:
        """The objects and attributes that only the models (`-`) or only the migrations have (`+`), or that differ."""
        actual = catalog_by(migrated) if actual is None else actual
        found = all_differences(self.expected, actual)
        dropped = {each.name for each in found if self._is_ignored(each) or self._is_left_out(each, actual)}
        tops = wholes(found)
        kept = [each for each in found if each.name not in dropped and tops[each.name].name not in dropped]
        return without_cut_names(with_other_meaning(kept, self._rows, migrated))

    def _is_ignored(self, found: Difference) -> bool:
        matches = matching(found.name, self._ignored)
        self.matched |= matches
        return bool(matches)

    def _is_left_out(self, found: Difference, actual: Catalog) -> bool:
        if found.name in self._left_out:
            return True
        # Of a partitioned table of the models; they come and go with the data.
        partition = PARTITION.match(found.actual or "") if found.expected is None else None
        while partition and (above := f"relation {partition[1]}") not in self.expected:
            partition = PARTITION.match(actual.get(above, ""))
        return partition is not None


def matching(name: str, patterns: Collection[str]) -> set[str]:
    """The patterns that match the name of an object: `function one(integer[])` matches itself."""
    return {pattern for pattern in patterns if name == pattern or fnmatchcase(name, pattern)}


def without_cut_names(found: list[Difference]) -> list[Difference]:
    """The differences without long names that SQLAlchemy and PostgreSQL have shortened, each in its way."""
    same: set[str] = set()
    for new, (old, _) in renames(found).items():
        ours, theirs = (identifiers(split(name)[1])[-1].strip('"') for name in (new, old))
        hashed = HASHED.match(ours)
        if hashed and len(theirs.encode()) == CUT and theirs.startswith(hashed[1]):
            same |= {new, old}
    return [difference for difference in found if difference.name not in same]
