"""What a new revision has done to rows, and the file with rows for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..database.migrations import Migrations
from .losses import Loss
from .tables import Table

# In the folder of the migrations.
FOLDER = "rows"


@dataclass
class Failure:
    """A step that fails on rows.

    Attributes:
        step: "upgrade", "downgrade" or "upgrade again"; or "rows", if the file with rows fails.
        sqlstate: PostgreSQL's code of the error; "" for another error.
    """

    step: str
    message: str
    sqlstate: str


@dataclass
class Trial:
    """What a revision has done to rows.

    Attributes:
        before: the tables before the upgrade, by name.
        lost: what the upgrade has deleted.
        moved: what is under another name since the upgrade.
        lost_by_downgrade: what was there before the upgrade, and is gone after the downgrade.
        required: columns that an INSERT has to name since the upgrade, and not before.
        refused: tables that could not be filled: name and reason.
        runs_triggers: whether triggers ran when the tables were filled.
    """

    before: Mapping[str, Table] = field(default_factory=dict)
    lost: list[Loss] = field(default_factory=list)
    moved: list[Loss] = field(default_factory=list)
    lost_by_downgrade: list[Loss] = field(default_factory=list)
    required: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    runs_triggers: bool = False


def rows_file(migrations: Migrations, revision: str) -> Path:
    """The file with rows to insert before a revision."""
    return migrations.folder / FOLDER / f"{revision}.sql"
