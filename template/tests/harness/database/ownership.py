"""Decides which databases of a server belong to the harness: by their names, comments and owners.

All three must match before the harness drops a database. Other databases whose names begin with `savepoint_` are never
dropped.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

PREFIX = "savepoint_"
TEMPLATE_PREFIX = "savepoint_template_"
# The beginning of the comment of each database of the harness.
MARK = "Savepoint test harness; "
RUN_COMMENT = MARK + "dropped when its run is over"

# In the comment, if the lock of the run is one of another database than `postgres`.
LOCKED_IN = re.compile(r', locked in database "(.+)"$')

# Group 1 is the name of the lock that a run holds while it uses the database.
NAMES = [re.compile(r"(savepoint_template_[0-9a-f]{16})"), re.compile(r"(savepoint_[0-9a-f]{8}_.+)_[0-9]+")]
LAST_USED = re.compile(r"last used (\d{4}-\d\d-\d\d)")
WEEK = timedelta(days=7)


def lock_of(name: str) -> str | None:
    """The lock of the run that a database belongs to; None if it is not a name of the harness."""
    return next((found[1] for pattern in NAMES if (found := pattern.fullmatch(name))), None)


def run_comment(maintenance_database: str) -> str:
    """The comment of a database of a run."""
    return RUN_COMMENT + (
        "" if maintenance_database == "postgres" else f', locked in database "{maintenance_database}"'
    )


def last_used() -> str:
    """The comment of a template database that is used today."""
    return f"{MARK}last used {datetime.now(UTC).date()}"


@dataclass(frozen=True)
class Database:
    """A database of the server, from its catalog.

    Args:
        is_own: whether it belongs to the role that is connected.
        comment: "" without one.
    """

    name: str
    is_sealed: bool
    owner: str
    is_own: bool
    comment: str

    @property
    def not_owned_reason(self) -> str | None:
        """Why the harness must not drop it; None if it may."""
        if lock_of(self.name) is None:
            return "its name is not a name of the harness"
        if not self.is_own:
            return f'its owner is role "{self.owner}"'
        return None if self.comment.startswith(MARK) else "it has no comment of the harness"

    @property
    def lock_database(self) -> str:
        """The maintenance database of the run that it belongs to; locks of another one say nothing about it."""
        found = LOCKED_IN.search(self.comment)
        return found[1] if found else "postgres"

    def is_unused(self) -> bool:
        """Whether no run will use it any more; must be called while its lock is held."""
        if not self.name.startswith(TEMPLATE_PREFIX):
            return True
        found = LAST_USED.search(self.comment)
        # Without a date it was never completed; a run that builds a template database holds its lock.
        return found is None or date.fromisoformat(found[1]) < datetime.now(UTC).date() - WEEK


class NotOwnedError(Exception):
    """A database that is not the harness's has a name that the harness needs."""

    def __init__(self, database: Database) -> None:
        super().__init__(
            f'cannot use database "{database.name}": {database.not_owned_reason}. '
            f'Rename it or drop it: DROP DATABASE "{database.name}"'
        )


def left_over_line(databases: Iterable[Database], refused: Iterable[str]) -> str | None:
    """The line on databases of ended runs that a sweep has not dropped; `refused` are errors of the server."""
    by_role: dict[str, int] = {}
    unmarked = []
    for database in databases:
        if database.is_own:
            unmarked.append(database.name)
        else:
            by_role[database.owner] = by_role.get(database.owner, 0) + 1
    parts = [f'{number} of role "{role}"' for role, number in sorted(by_role.items())]
    if unmarked:
        parts.append(f"{len(unmarked)} without the harness's comment ({', '.join(unmarked[:3])})")
    parts += refused
    return f"postgres: databases of ended runs were not dropped: {'; '.join(parts)}" if parts else None
