"""The SQL that creates an object of the catalog, with its parts and attributes; nothing if that cannot be derived."""

from collections.abc import Iterator

from .catalog import Catalog, identifiers, parent, split

SERIAL = {"integer": "serial", "bigint": "bigserial", "smallint": "smallserial"}
# What the definition of a trigger ends with, and how that is set.
FIRING = {"disabled": "DISABLE", "enabled for replicas": "ENABLE REPLICA", "enabled always": "ENABLE ALWAYS"}
OPTION = " WITH GRANT OPTION"
# Part of CREATE TABLE or ADD COLUMN.
INLINE = ("column", "not null", "default")


def creation(name: str, catalog: Catalog) -> list[str]:
    """The statements that create an object, and what belongs to it."""
    own = list(_own(name, catalog))
    if not own:
        return []
    kind, _ = split(name)
    return own + [statement for part in _parts(name, kind, catalog) for statement in creation(part, catalog)]


def _parts(name: str, kind: str, catalog: Catalog) -> list[str]:
    last = name.rpartition(".")[2]
    # Looked for first, since a schema may have thousands of objects.
    near = [(other, definition) for other, definition in catalog.items() if last in other or last in definition]
    parts = [other for other, definition in near if parent(other, definition) == name]
    if kind in ("relation", "column"):
        # The others of a table belong to columns.
        inline = [part for part in parts if split(part)[0] in INLINE]
        of_columns = [
            part for column in inline if column.startswith("column ") for part in _parts(column, "column", catalog)
        ]
        parts = [part for part in parts if part not in inline] + of_columns
    return parts


def _own(name: str, catalog: Catalog) -> Iterator[str]:
    kind, qualified = split(name)
    definition = catalog[name]
    *owner, last = identifiers(qualified) or [""]
    table = ".".join(owner)
    match kind:
        case "schema" | "extension":
            yield f"CREATE {kind.upper()} {qualified}"
        case "relation":
            yield from _relation(name, qualified, catalog)
        case "column":
            yield f"ALTER TABLE {table} ADD COLUMN {column_definition(name, catalog)}"
        case "constraint" | "domain constraint":
            owned_by = "TABLE" if kind == "constraint" else "DOMAIN"
            yield f"ALTER {owned_by} {table} ADD CONSTRAINT {last} {definition}"
        case "index":
            yield definition.removesuffix(" clustered").removesuffix(" invalid")
            if definition.endswith(" clustered"):
                yield f"ALTER TABLE {relation_of(name, definition)} CLUSTER ON {last}"
        case "type":
            yield from _type(qualified, definition)
        case "function" if definition != "aggregate":
            yield definition.strip()
        case "trigger":
            yield from _trigger(table, last, definition)
        case "policy":
            yield f"CREATE POLICY {last} ON {table} {definition}"
        case "rule" | "statistics":
            yield definition.removesuffix(";")
        case "publication" | "event trigger":
            yield f"CREATE {kind.upper()} {qualified} {definition}"
        case _:
            yield from attribute(name, catalog)


def attribute(name: str, catalog: Catalog) -> Iterator[str]:
    """The statements that set an attribute to its definition in the catalog."""
    kind, qualified = split(name)
    definition = catalog[name]
    *owner, last = identifiers(qualified) or [""]
    column = f"ALTER TABLE {'.'.join(owner)} ALTER COLUMN {last}"
    match kind:
        case "not null":
            yield f"{column} SET NOT NULL"
        case "default" if definition != "next of its own sequence":
            yield f"{column} SET DEFAULT {definition}"
        case "column options":
            for option, _, value in (part.partition(" ") for part in definition.split(", ")):
                if option in ("storage", "compression", "statistics"):
                    yield f"{column} SET {option.upper()} {value}"
        case "row security":
            if "enabled" in definition:
                yield f"ALTER TABLE {qualified} ENABLE ROW LEVEL SECURITY"
            if "forced" in definition:
                yield f"ALTER TABLE {qualified} FORCE ROW LEVEL SECURITY"
        case "storage parameters":
            yield f"ALTER {keyword(catalog, qualified)} {qualified} SET ({definition})"
        case "replica identity":
            yield f"ALTER TABLE {qualified} REPLICA IDENTITY {definition}"
        case "comment":
            yield f"COMMENT {_on(qualified)} IS {definition}"
        case "grant":
            yield from grant(qualified, None, definition, catalog)
        case "default privileges":
            scope, _, (grantee) = qualified.partition(" to ")
            scope, _, objects = scope.rpartition("on ")
            where = scope.replace("of ", "FOR USER ", 1).replace(" in ", " IN SCHEMA ", 1).strip()
            yield f"ALTER DEFAULT PRIVILEGES {where} GRANT {definition} ON {objects.upper()} TO {grantee}"


def _relation(name: str, qualified: str, catalog: Catalog) -> Iterator[str]:
    what, _, rest = catalog[name].partition(" AS ")
    if what.endswith(("view", "sequence")):
        yield f"CREATE {what.upper()} {qualified} AS {rest.strip().removesuffix(';')}"
        return
    head, _, end = what.partition("table")
    if end.startswith(" partition of "):
        yield f"CREATE TABLE {qualified} PARTITION OF{end.removeprefix(' partition of')}"
        return
    if head in ("", "unlogged ", "partitioned ") and not end.startswith((" using", " inherits")):
        columns = [
            column_definition(other, catalog)
            for other, definition in catalog.items()
            if other.startswith("column ") and parent(other, definition) == name
        ]
        unlogged = "UNLOGGED " if head == "unlogged " else ""
        partitioned = end.replace("partition by", "PARTITION BY")
        yield f"CREATE {unlogged}TABLE {qualified} ({', '.join(columns)}){partitioned}"


def column_definition(name: str, catalog: Catalog) -> str:
    """A column as CREATE TABLE and ADD COLUMN take it."""
    _, qualified = split(name)
    default, definition = catalog.get(f"default {qualified}"), catalog[name]
    if default == "next of its own sequence":
        definition, default = SERIAL.get(definition, definition), None
    parts = [identifiers(qualified)[-1], definition, default and f"DEFAULT {default}"]
    parts.append("NOT NULL" if f"not null {qualified}" in catalog else "")
    return " ".join(filter(None, parts))


def _type(qualified: str, definition: str) -> Iterator[str]:
    kind, _, rest = definition.partition(" ")
    match kind:
        case "enum":
            yield f"CREATE TYPE {qualified} AS ENUM ({rest})"
        case "domain":
            yield f"CREATE DOMAIN {qualified} AS {rest}"
        case "composite":
            yield f"CREATE TYPE {qualified} AS ({rest})"
        case "range":
            yield f"CREATE TYPE {qualified} AS RANGE (subtype = {rest.removeprefix('of ')})"


def _trigger(table: str, last: str, definition: str) -> Iterator[str]:
    firing = next((words for words in FIRING if definition.endswith(f" {words}")), "")
    yield definition.removesuffix(f" {firing}") if firing else definition
    if firing:
        yield f"ALTER TABLE {table} {FIRING[firing]} TRIGGER {last}"


def grant(qualified: str, before: str | None, after: str, catalog: Catalog) -> Iterator[str]:
    """The statements that change the privileges of a grantee. `before` is None for those that it has by default."""
    target, _, grantee = qualified.removeprefix("on ").rpartition(" to ")
    kind, _, name = target.partition(" ")
    of_columns = ""
    if kind == "column":
        *owner, column = identifiers(name)
        kind, name, of_columns = "relation", ".".join(owner), f" ({column})"
    objects = {"relation": keyword(catalog, name), "function": "ROUTINE"}.get(kind, kind.upper())
    on = f"ON {objects if objects in ('SEQUENCE', 'ROUTINE', 'SCHEMA', 'TYPE') else 'TABLE'} {name}"
    had, has = ({*text.split(", ")} - {"nothing", ""} for text in (before or "", after))
    # Not REVOKE ALL: on a table, that revokes the privileges on its columns too.
    if revoked := sorted(privilege.removesuffix(OPTION) + of_columns for privilege in had - has):
        yield f"REVOKE {', '.join(revoked)} {on} FROM {grantee}"
    if before is None and not has:
        yield f"REVOKE ALL {on} FROM {grantee}"
    for option in (OPTION, ""):
        new = [privilege for privilege in has - had if privilege.endswith(OPTION) == bool(option)]
        if granted := sorted(privilege.removesuffix(OPTION) + of_columns for privilege in new):
            yield f"GRANT {', '.join(granted)} {on} TO {grantee}{option}"


def keyword(catalog: Catalog, relation: str) -> str:
    """TABLE, VIEW, MATERIALIZED VIEW or SEQUENCE."""
    what = catalog.get(f"relation {relation}", "sequence").partition(" AS ")[0]
    kinds = ("materialized view", "view", "sequence")
    return next((kind.upper() for kind in kinds if what.endswith(kind)), "TABLE")


def relation_of(name: str, definition: str) -> str:
    """The table of an index or of a part of a table."""
    return (parent(name, definition) or "").removeprefix("relation ")


def _on(qualified: str) -> str:
    what = qualified.removeprefix("on ")
    kinds = ("materialized view", "foreign table", "event trigger", what.partition(" ")[0])
    kind = next(kind for kind in kinds if what.startswith(kind))
    return f"ON {kind.upper()}{what.removeprefix(kind)}"
