"""Which databases of a server are the harness's: by the form of their names, by their comments, and by their owners.

All three have to agree before one is dropped. What else begins with `savepoint_` is somebody's own.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

PREFIX = "savepoint_"
TEMPLATE_PREFIX = "savepoint_template_"
# Begins the comment of each database that the harness makes.
MARK = "Savepoint test harness; "
OF_RUN = MARK + "dropped when its run is over"

# In group 1 the lock that a run holds as long as it uses the database.
FORMS = [re.compile(r"(savepoint_template_[0-9a-f]{16})"), re.compile(r"(savepoint_[0-9a-f]{8}_.+)_[0-9]+")]
LAST_USED = re.compile(r"last used (\d{4}-\d\d-\d\d)")
WEEK = timedelta(days=7)


def lock_of(name: str) -> str | None:
    """The lock of the run that a database belongs to; None if the harness makes no such name."""
    return next((found[1] for form in FORMS if (found := form.fullmatch(name))), None)


def last_used() -> str:
    """The comment of a template database that is used today."""
    return f"{MARK}last used {datetime.now(UTC).date()}"


@dataclass(frozen=True)
class Database:
    """A database of the server, as its catalog tells.

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
    def why_not_ours(self) -> str | None:
        """Why the harness may not drop it; None if it may."""
        if lock_of(self.name) is None:
            return "its name is not of the harness's form"
        if not self.is_own:
            return f'it belongs to role "{self.owner}"'
        return None if self.comment.startswith(MARK) else "no comment marks it as the harness's"

    def is_over(self) -> bool:
        """Whether no run will use it any more; asked under its lock."""
        if not self.name.startswith(TEMPLATE_PREFIX):
            return True
        found = LAST_USED.search(self.comment)
        # Without a day it was never finished; a run that builds a template database holds its lock.
        return found is None or date.fromisoformat(found[1]) < datetime.now(UTC).date() - WEEK


class NotOursError(Exception):
    """A name that the harness needs is taken by a database that is not the harness's."""

    def __init__(self, database: Database) -> None:
        super().__init__(
            f'database "{database.name}" is not used: {database.why_not_ours}. '
            f'Rename it, or drop it: DROP DATABASE "{database.name}"'
        )


def passed_over(databases: Iterable[Database], refused: Iterable[str]) -> str | None:
    """The line on databases of ended runs that a sweep has left: those of others, and those that the server kept."""
    of_roles: dict[str, int] = {}
    unmarked = []
    for database in databases:
        if database.is_own:
            unmarked.append(database.name)
        else:
            of_roles[database.owner] = of_roles.get(database.owner, 0) + 1
    parts = [f'{number} of role "{role}"' for role, number in sorted(of_roles.items())]
    if unmarked:
        parts.append(f"{len(unmarked)} without the harness's comment ({', '.join(unmarked[:3])})")
    parts += refused
    return f"postgres: databases of ended runs that were not dropped: {'; '.join(parts)}" if parts else None
