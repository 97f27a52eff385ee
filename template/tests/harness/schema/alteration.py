"""The SQL that changes an object of one catalog into that of another; several ways, the one that keeps most first."""

import re
from collections.abc import Iterator

from .catalog import Catalog, Difference, identifiers, parent, split, without_parts
from .creation import FIRING, attribute, creation, grant, keyword, relation_of
from .enums import change_enum

IDENTITY = re.compile(r" GENERATED (ALWAYS|BY DEFAULT) AS IDENTITY$")
GENERATED = re.compile(r" GENERATED ALWAYS AS (\(.*\))( STORED)?$", re.S)

Ways = list[list[str]]


def alteration(difference: Difference, expected: Catalog, actual: Catalog) -> Ways:
    """Ways to change the second schema so that the object is that of the first one; [] if none is known."""
    name = difference.name
    if difference.actual is None:
        return [statements] if (statements := creation(name, expected)) else []
    if difference.expected is None:
        return [statements] if (statements := list(_removal(name, difference.actual, actual))) else []
    kind, qualified = split(name)
    before, after = difference.actual, difference.expected
    *owner, last = identifiers(qualified) or [""]
    table = ".".join(owner)
    again = creation(name, expected)
    match kind:
        case "relation":
            return _relation(qualified, before, after, again, expected)
        case "column":
            return _column(f"ALTER TABLE {table} ALTER COLUMN {last}", last, before, after)
        case "constraint" | "domain constraint":
            owned_by = "TABLE" if kind == "constraint" else "DOMAIN"
            replace = [f"ALTER {owned_by} {table} DROP CONSTRAINT {last}", *again]
            validate = [f"ALTER {owned_by} {table} VALIDATE CONSTRAINT {last}"]
            return [validate, replace] if before == f"{after} NOT VALID" else [replace]
        case "index":
            return _index(qualified, before, after, again)
        case "type":
            return _type(qualified, before, after, actual)
        case "function":
            return [again, [f"DROP FUNCTION {qualified}", *again]]
        case "trigger":
            bare = {text.removesuffix(f" {words}") for text in (before, after) for words in FIRING}
            ways = [[f"DROP TRIGGER {last} ON {table}", *again]]
            if after in bare and before.startswith(after):
                ways.insert(0, [f"ALTER TABLE {table} ENABLE TRIGGER {last}"])
            return [again[1:], *ways] if len(again) > 1 else ways
        case "policy" | "rule":
            return [[f"DROP {kind.upper()} {last} ON {table}", *again]]
        case "statistics" | "event trigger" | "publication":
            return [[f"DROP {kind.upper()} {qualified}", *again]]
        case "row security":
            words = [("enabled", "DISABLE ROW LEVEL SECURITY"), ("forced", "NO FORCE ROW LEVEL SECURITY")]
            off = [f"ALTER TABLE {qualified} {sql}" for word, sql in words if word in before and word not in after]
            return [[*off, *attribute(name, expected)]]
        case "storage parameters":
            names = [option.partition("=")[0] for option in before.split(", ")]
            reset = f"ALTER {keyword(expected, qualified)} {qualified} RESET ({', '.join(names)})"
            return [[reset, *attribute(name, expected)]]
        case "grant":
            return [list(grant(qualified, before, after, expected))]
        case _:
            return [again] if again else []


def renames(found: list[Difference]) -> dict[str, tuple[str, list[str]]]:
    """The renames that explain two differences: by the name that only the models have, the other and the statement."""
    alone = without_parts(found)
    missing = [difference for difference in alone if difference.actual is None]
    surplus = [difference for difference in alone if difference.expected is None]
    pairs = {}
    for new in missing:
        kind, qualified = split(new.name)
        if kind not in ("constraint", "index"):
            continue
        for old in surplus:
            if split(old.name)[0] == kind and _unnamed(new.name, new.expected) == _unnamed(old.name, old.actual):
                [name, last] = identifiers(split(old.name)[1])[-1], identifiers(qualified)[-1]
                table = relation_of(new.name, new.expected or "")
                rename = f"ALTER TABLE {table} RENAME CONSTRAINT {name} TO {last}"
                if kind == "index":
                    rename = f"ALTER INDEX {split(old.name)[1]} RENAME TO {last}"
                pairs[new.name] = (old.name, [rename])
                surplus.remove(old)
                break
    return pairs


def _unnamed(name: str, definition: str | None) -> tuple[str | None, str]:
    last = identifiers(split(name)[1])[-1]
    return parent(name, definition or ""), (definition or "").replace(f"INDEX {last} ON ", "INDEX ON ")


def _removal(name: str, before: str, actual: Catalog) -> Iterator[str]:
    """Only of what belongs to a table, and of attributes."""
    kind, qualified = split(name)
    *owner, last = identifiers(qualified) or [""]
    table = ".".join(owner)
    match kind:
        case "column" | "constraint":
            yield f"ALTER TABLE {table} DROP {kind.upper()} {last}"
        case "domain constraint":
            yield f"ALTER DOMAIN {table} DROP CONSTRAINT {last}"
        case "index":
            yield f"DROP INDEX {qualified}"
        case "not null" | "default":
            yield f"ALTER TABLE {table} ALTER COLUMN {last} DROP {kind.upper()}"
        case "comment":
            yield from (f"{sql.rpartition(' IS ')[0]} IS NULL" for sql in attribute(name, {**actual, name: "''"}))
        case "storage parameters":
            names = [option.partition("=")[0] for option in before.split(", ")]
            yield f"ALTER {keyword(actual, qualified)} {qualified} RESET ({', '.join(names)})"
        case "replica identity":
            yield f"ALTER TABLE {qualified} REPLICA IDENTITY DEFAULT"
        case "column options" if before.startswith("statistics"):
            yield f"ALTER TABLE {table} ALTER COLUMN {last} SET STATISTICS -1"


def _relation(qualified: str, before: str, after: str, again: list[str], expected: Catalog) -> Ways:
    kind = keyword(expected, qualified)
    if kind == "VIEW":
        replaced = again[0].replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1)
        return [[replaced], [f"DROP VIEW {qualified}", *again]]
    if kind == "MATERIALIZED VIEW":
        return [[f"DROP MATERIALIZED VIEW {qualified}", *again]]
    if kind == "SEQUENCE":
        return [[again[0].replace("CREATE", "ALTER", 1)]]
    if before.removeprefix("unlogged ") == after.removeprefix("unlogged "):
        return [[f"ALTER TABLE {qualified} SET {'UNLOGGED' if after.startswith('unlogged') else 'LOGGED'}"]]
    if after.startswith("table inherits ") and before == "table":
        return [[f"ALTER TABLE {qualified} INHERIT {after.removeprefix('table inherits ')}"]]
    return []


def _column(column: str, last: str, before: str, after: str) -> Ways:
    had, has = IDENTITY.search(before), IDENTITY.search(after)
    if has and IDENTITY.sub("", before) == IDENTITY.sub("", after):
        if had:
            return [[f"{column} SET GENERATED {has[1]}"]]
        add = f"{column} ADD{has[0]}"
        return [[add], [f"{column} DROP DEFAULT", f"{column} SET NOT NULL", add]]
    if had and not has:
        return [[f"{column} DROP IDENTITY"]]
    if generated := GENERATED.search(after):
        table = column.removesuffix(f" ALTER COLUMN {last}")
        again = [f"{table} DROP COLUMN {last}", f"{table} ADD COLUMN {last} {after}"]
        return [[f"{column} SET EXPRESSION AS {generated[1]}"], again]
    if GENERATED.search(before):
        return [[f"{column} DROP EXPRESSION"]]
    kind = after.partition(" COLLATE ")[0]
    return [[f"{column} TYPE {after}"], [f"{column} TYPE {after} USING {last}::{kind}"]]


def _index(qualified: str, before: str, after: str, again: list[str]) -> Ways:
    replace = [f"DROP INDEX {qualified}", *again]
    if before == f"{after} invalid":
        return [[f"REINDEX INDEX {qualified}"], replace]
    if before == f"{after} clustered":
        table = relation_of(f"index {qualified}", after)
        return [[f"ALTER TABLE {table} SET WITHOUT CLUSTER"], replace]
    return [again[1:], replace] if len(again) > 1 else [replace]


def _type(qualified: str, before: str, after: str, actual: Catalog) -> Ways:
    if before.startswith("enum ") and after.startswith("enum "):
        return change_enum(qualified, before, after, actual)
    if not (before.startswith("domain ") and after.startswith("domain ")):
        return []
    default = after.partition(" DEFAULT ")[2]
    return [
        [
            f"ALTER DOMAIN {qualified} {'SET' if ' NOT NULL' in after else 'DROP'} NOT NULL",
            f"ALTER DOMAIN {qualified} " + (f"SET DEFAULT {default}" if default else "DROP DEFAULT"),
        ]
    ]
