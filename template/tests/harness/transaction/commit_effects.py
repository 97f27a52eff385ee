"""Other effects of a commit: the end of settings that are local to the transaction, and of temporary tables.

PostgreSQL keeps them until the outer transaction ends; RELEASE SAVEPOINT does not end them. Without this module, a
route that reads a setting of an earlier request would pass in a savepoint test and fail in production.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

# Comments and strings; the name of a setting may be quoted.
UNSAID = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.S)
# SET LOCAL SESSION AUTHORIZATION and SET LOCAL TIME ZONE are spelled differently from their settings.
SET_LOCAL = re.compile(r"\bSET\s+LOCAL\s+(SESSION\s+AUTHORIZATION|TIME\s+ZONE|\"?[\w.]+)", re.I)
SPELLED = {"session authorization": "session_authorization", "time zone": "timezone"}
SET_CONFIG = re.compile(
    r"\bset_config\s*\(\s*(?:'([^']+)'|(\$\d+|%\((\w+)\)s)(?:::[\w ]+)?)\s*,"
    r"(?:(?:[^()]|%\(\w+\)s)*,\s*(false|\$\d+|%\(\w+\)s)(?:::[\w ]+)?\s*\))?",
    re.I,
)
# Comments and strings; the name of a setting may have quotes.
UNSAID = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.S)
LOCAL = re.compile(r"\bSET\s+LOCAL\b|\bset_config\s*\(", re.I)
TEMPORARY = re.compile(
    r"\bCREATE\s+(?:LOCAL\s+|GLOBAL\s+)?TEMP(?:ORARY)?\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(\"[^\"]+\"|[\w.]+).*"
    r"\bON\s+COMMIT\s+(DROP|DELETE\s+ROWS)",
    re.I | re.S,
)


@dataclass
class CommitEffects:
    """The effects to apply when a transaction of the application ends.

    Attributes:
        settings: names of settings that are local to the transaction, with the earlier values; None if never set.
        current: their values, saved while another transaction uses the connection.
        tables: statements for the ON COMMIT clauses of temporary tables.
    """

    settings: dict[str, str | None] = field(default_factory=dict)
    current: dict[str, str | None] = field(default_factory=dict)
    tables: list[str] = field(default_factory=list)

    def statements(self, *, is_commit: bool) -> Iterator[str]:
        """Statements to send after the RELEASE."""
        if is_commit:
            yield from self.tables
        yield from map(_set, self.settings.items())

    def restore(self) -> Iterator[str]:
        """Statements that set the local settings again."""
        yield from map(_set, self.current.items())

    def clear(self) -> None:
        """Forget the effects of the transaction."""
        self.settings.clear()
        self.current.clear()
        self.tables.clear()

    def __bool__(self) -> bool:
        return bool(self.settings or self.tables)


def _set(setting: tuple[str, str | None]) -> str:
    name, value = setting
    # As in PostgreSQL, a custom setting that was never set is empty after its transaction, not NULL.
    return f"SELECT set_config({_quoted(name)}, {_quoted(value or '')}, true)"


@lru_cache(4096)
def on_commit(statement: str) -> str | None:
    """The statement for the ON COMMIT clause of CREATE TEMPORARY TABLE; None for other statements."""
    found = TEMPORARY.search(statement)
    if found is None:
        return None
    # Not quoted: PostgreSQL folds the case of the name as in CREATE TABLE.
    return f"DROP TABLE IF EXISTS {found[1]}" if found[2].upper() == "DROP" else f"DELETE FROM {found[1]}"


def local_settings(statement: str, parameters: Any) -> set[str]:
    """The names of settings that a statement sets until its transaction ends, by its text and parameters."""
    if not _mentions_settings(statement):
        return set()
    names = {_name(found[1]) for found in SET_LOCAL.finditer(UNSAID.sub(" ", statement))}
    for found in SET_CONFIG.finditer(statement):
        if _is_false(found[4], parameters):
            continue
        name = found[1] or _parameter(found[2], found[3], parameters)
        if isinstance(name, str):
            names.add(name.lower())
    return names


@lru_cache(4096)
def _mentions_settings(statement: str) -> bool:
    return LOCAL.search(statement) is not None


def _is_false(value: str | None, parameters: Any) -> bool:
    if value is None or value.lower() == "false":
        return value is not None
    key = value[2:-2] if value.startswith("%(") else None
    return _parameter(value, key, parameters) is False


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
