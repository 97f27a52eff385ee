"""PostgreSQL's types as the catalog has them: base types, enums, domains, ranges, arrays, composite types."""

from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection

# The types of columns, and those that they consist of: all would take ten times as long.
TYPES = """
    WITH RECURSIVE used (oid) AS (
        SELECT atttypid FROM pg_attribute WHERE attrelid >= 16384 AND attnum > 0 AND NOT attisdropped
        UNION SELECT part FROM used JOIN pg_type t ON t.oid = used.oid
        LEFT JOIN pg_range ON t.oid IN (rngtypid, rngmultitypid) CROSS JOIN LATERAL (
            SELECT unnest(ARRAY[typbasetype, typelem, rngsubtype])
            UNION ALL SELECT atttypid FROM pg_attribute WHERE attrelid = typrelid AND typrelid <> 0 AND attnum > 0
        ) AS parts (part) WHERE part <> 0)
    SELECT t.oid, format_type(t.oid, NULL), typname, typtype, typbasetype, typtypmod, typnotnull,
        CASE WHEN typcategory = 'A' THEN typelem END, coalesce(rngsubtype, 0),
        ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder),
        ARRAY(SELECT pg_get_expr(conbin, 0) FROM pg_constraint WHERE contypid = t.oid AND contype = 'c'),
        ARRAY(SELECT ROW(atttypid, atttypmod)::text FROM pg_attribute
            WHERE attrelid = typrelid AND typrelid <> 0 AND attnum > 0 AND NOT attisdropped ORDER BY attnum)
    FROM used JOIN pg_type t USING (oid) LEFT JOIN pg_class c ON c.oid = typrelid
    LEFT JOIN pg_range ON t.oid IN (rngtypid, rngmultitypid)
    WHERE typtype <> 'p' AND (typtype <> 'c' OR relkind = 'c')
"""


@dataclass
class Type:
    """A type.

    Attributes:
        sql: as PostgreSQL writes it: `character varying`.
        name: as the catalog has it: `varchar`.
        kind: the catalog's letter: b for a base type, e an enum, d a domain, r a range, m a multirange, c composite.
        base: of a domain, the type; of an array, that of an element; of a range, that of its bounds.
        base_modifier: of a domain, such as the length of its type.
        labels: of an enum.
        checks: of a domain, as expressions of VALUE.
        allowed: values of a domain that its checks allow; empty if they are not known.
        fields: of a composite type, the types and their modifiers.
    """

    sql: str
    name: str
    kind: str
    is_not_null: bool
    is_array: bool
    base_modifier: int
    labels: list[str]
    checks: list[str]
    base: "Type | None" = None
    allowed: list[str] = field(default_factory=list)
    fields: list[tuple["Type", int]] = field(default_factory=list)

    @property
    def plain(self) -> "Type":
        """The type itself, or that of a domain."""
        return self.base.plain if self.kind == "d" and self.base is not None else self

    @property
    def cast(self) -> str:
        """For a cast that cuts nothing: `character` and `bit` alone have the length 1."""
        return self.name if self.name in ("bpchar", "bit") else self.sql


def types_of(connection: Connection[Any]) -> dict[int, Type]:
    """The types of the database, by oid."""
    rows = connection.execute(TYPES.encode()).fetchall()
    types = {}
    for oid, sql, name, kind, _, modifier, is_not_null, element, _, labels, checks, _ in rows:
        types[oid] = Type(sql, name, kind, is_not_null, element is not None, modifier, labels, checks)
    unknown = Type("unknown", "unknown", "p", False, False, -1, [], [])
    for oid, _, _, _, base, _, _, element, subtype, _, _, fields in rows:
        types[oid].base = types.get(base or element or subtype)
        numbers = [text.strip("()").split(",") for text in fields]
        types[oid].fields = [(types.get(int(part), unknown), int(modifier)) for part, modifier in numbers]
    return _OrUnknown(types, unknown)


class _OrUnknown(dict[int, Type]):
    """The row type of a table, which a column may have, is unknown."""

    def __init__(self, types: dict[int, Type], unknown: Type) -> None:
        super().__init__(types)
        self._unknown = unknown

    def __missing__(self, oid: int) -> Type:
        return self._unknown
