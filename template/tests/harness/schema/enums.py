"""The SQL that changes the values of an enum."""

import re

from .catalog import Catalog, identifiers, split

LABEL = re.compile(r"'(?:[^']|'')*'")


def change_enum(qualified: str, before: str, after: str, actual: Catalog) -> list[list[str]]:
    """The statements that add values; if values are gone or in another order, those that replace the type.

    To replace it, every value that rows have must be in the new type.
    """
    had, has = LABEL.findall(before), LABEL.findall(after)
    if [label for label in has if label in had] == had:
        return [_additions(qualified, had, has)]
    return [_replacement(qualified, has, actual)]


def _additions(qualified: str, had: list[str], has: list[str]) -> list[str]:
    statements = []
    for position, label in enumerate(has):
        if label in had:
            continue
        following = next((later for later in has[position:] if later in had), None)
        place = "" if following is None else f" BEFORE {following}"
        statements.append(f"ALTER TYPE {qualified} ADD VALUE {label}{place}")
    return statements


def _replacement(qualified: str, has: list[str], actual: Catalog) -> list[str]:
    *schema, last = identifiers(qualified)
    old = '"' + last.strip('"') + '_old"'
    # As PostgreSQL prints it, without a schema that is in the search path.
    printed = last if schema == ["public"] else qualified
    statements = [f"ALTER TYPE {qualified} RENAME TO {old}", f"CREATE TYPE {qualified} AS ENUM ({', '.join(has)})"]
    for name, definition in actual.items():
        kind, column = split(name)
        if kind != "column" or definition.removesuffix("[]") != printed:
            continue
        *table, of_table = identifiers(column)
        alter = f"ALTER TABLE {'.'.join(table)} ALTER COLUMN {of_table}"
        array = "[]" if definition.endswith("[]") else ""
        default = actual.get(f"default {column}")
        statements += [f"{alter} DROP DEFAULT"] if default else []
        statements.append(f"{alter} TYPE {qualified}{array} USING {of_table}::text{array}::{qualified}{array}")
        statements += [f"{alter} SET DEFAULT {default}"] if default else []
    return [*statements, f"DROP TYPE {'.'.join([*schema, old])}"]
