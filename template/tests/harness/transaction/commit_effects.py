"""What a commit ends besides the rows: settings that are local to the transaction, and temporary tables.

PostgreSQL keeps them until the outer transaction ends, and RELEASE SAVEPOINT is no end. A route that reads the tenant
which the request before it has set would pass in a savepoint test, and fail in production.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

# SET LOCAL ROLE, SET LOCAL SESSION AUTHORIZATION and SET LOCAL TIME ZONE have names of their own among the settings.
SET_LOCAL = re.compile(r"\bSET\s+LOCAL\s+(SESSION\s+AUTHORIZATION|TIME\s+ZONE|\"?[\w.]+)", re.I)
SPELLED = {"session authorization": "session_authorization", "time zone": "timezone"}
SET_CONFIG = re.compile(
    r"\bset_config\s*\(\s*(?:'([^']+)'|(\$\d+|%\((\w+)\)s)(?:::[\w ]+)?)\s*,(?![^()]*,\s*false\s*\))", re.I
)
LOCAL = re.compile(r"\bSET\s+LOCAL\b|\bset_config\s*\(", re.I)
TEMPORARY = re.compile(
    r"\bCREATE\s+(?:LOCAL\s+|GLOBAL\s+)?TEMP(?:ORARY)?\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(\"[^\"]+\"|[\w.]+).*"
    r"\bON\s+COMMIT\s+(DROP|DELETE\s+ROWS)",
    re.I | re.S,
)


@dataclass
class AtCommit:
    """What is to be undone when one transaction of the application ends.

    Attributes:
        settings: the names that it has set for itself, with the values before; None for one that was never set.
        own: what they are while another transaction has the connection.
        tables: statements that do what ON COMMIT says.
    """

    settings: dict[str, str | None] = field(default_factory=dict)
    own: dict[str, str | None] = field(default_factory=dict)
    tables: list[str] = field(default_factory=list)

    def statements(self, *, is_commit: bool) -> Iterator[str]:
        """What to send after the RELEASE."""
        if is_commit:
            yield from self.tables
        yield from map(_set, self.settings.items())

    def again(self) -> Iterator[str]:
        """What to send when the connection is this transaction's again."""
        yield from map(_set, self.own.items())

    def clear(self) -> None:
        """The transaction is over."""
        self.settings.clear()
        self.own.clear()
        self.tables.clear()

    def __bool__(self) -> bool:
        return bool(self.settings or self.tables)


def _set(setting: tuple[str, str | None]) -> str:
    name, value = setting
    # One that was never there is empty once its transaction is over, and not NULL: so does PostgreSQL.
    return f"SELECT set_config({_quoted(name)}, {_quoted(value or '')}, true)"


@lru_cache(4096)
def on_commit(statement: str) -> str | None:
    """What a temporary table wants at the commit, as a statement."""
    found = TEMPORARY.search(statement)
    if found is None:
        return None
    # No quotes: PostgreSQL folds the name as it did when the table was made.
    return f"DROP TABLE IF EXISTS {found[1]}" if found[2].upper() == "DROP" else f"DELETE FROM {found[1]}"


def local_settings(statement: str, parameters: Any) -> set[str]:
    """The settings that a statement sets until its transaction ends, as far as its text and parameters tell."""
    if not _mentions_settings(statement):
        return set()
    names = {_name(found[1]) for found in SET_LOCAL.finditer(statement)}
    for found in SET_CONFIG.finditer(statement):
        name = found[1] or _parameter(found[2], found[3], parameters)
        if isinstance(name, str):
            names.add(name.lower())
    return names


@lru_cache(4096)
def _mentions_settings(statement: str) -> bool:
    return LOCAL.search(statement) is not None


def _name(text: str) -> str:
    folded = " ".join(text.lower().replace('"', "").split())
    return SPELLED.get(folded, folded)


def _parameter(placeholder: str, key: str | None, parameters: Any) -> Any:
    if key is not None and isinstance(parameters, dict):
        return parameters.get(key)
    if placeholder.startswith("$") and isinstance(parameters, tuple | list):
        index = int(placeholder[1:]) - 1
        return parameters[index] if index < len(parameters) else None
    return None


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
