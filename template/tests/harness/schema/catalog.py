"""Reads a database's schema from PostgreSQL's catalog, as one definition per object, and compares two schemas.

Ignored, since a difference there has no effect: the order of columns, the names of NOT NULL constraints and of
sequences owned by a column (a rename keeps the old name), objects of extensions, and Alembic's version table.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

OF_EXTENSION = "EXISTS (SELECT FROM pg_depend WHERE objid = o.oid AND classid = o.tableoid AND deptype = 'e')"
OWN = f"nspname !~ '^pg_' AND nspname <> 'information_schema' AND NOT {OF_EXTENSION}"

# Each query returns names and definitions. In each, `o` is the object and `pg_namespace` its schema.
QUERIES = {
    "schema": f"""
        SELECT nspname, nspacl::text FROM pg_namespace o WHERE {OWN} AND nspname <> 'public'
    """,
    "extension": """
        SELECT extname, extversion FROM pg_extension WHERE extname <> 'plpgsql'
    """,
    "relation": f"""
        SELECT format('%I.%I', nspname, relname), concat_ws(' ',
            CASE relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
                WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' END,
            CASE relpersistence WHEN 'u' THEN 'unlogged' END,
            CASE WHEN relrowsecurity THEN 'row security' END,
            CASE WHEN relforcerowsecurity THEN 'forced' END,
            amname, pg_get_partkeydef(o.oid), pg_get_expr(relpartbound, o.oid), reloptions::text, relacl::text,
            CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(o.oid) END,
            CASE WHEN seqrelid IS NOT NULL THEN format('%s from %s by %s, %s to %s, cache %s, cycle %s',
                format_type(seqtypid, NULL), seqstart, seqincrement, seqmin, seqmax, seqcache, seqcycle) END,
            obj_description(o.oid, 'pg_class'))
        FROM pg_class o JOIN pg_namespace n ON n.oid = relnamespace
        LEFT JOIN pg_am ON pg_am.oid = relam LEFT JOIN pg_sequence ON seqrelid = o.oid
        WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND {OWN} AND relname <> 'alembic_version'
        AND NOT (relkind = 'S' AND EXISTS (SELECT FROM pg_depend
            WHERE objid = o.oid AND classid = 'pg_class'::regclass AND deptype IN ('a', 'i')))
    """,
    "column": f"""
        SELECT format('%I.%I.%I', nspname, relname, attname), concat_ws(' ',
            format_type(atttypid, atttypmod),
            CASE WHEN attnotnull THEN 'not null' END,
            CASE WHEN attcollation <> typcollation THEN 'collate ' || attcollation::regcollation END,
            CASE attidentity WHEN 'a' THEN 'identity always' WHEN 'd' THEN 'identity by default' END,
            CASE attgenerated WHEN 's' THEN 'generated stored' WHEN 'v' THEN 'generated virtual' END,
            CASE WHEN pg_get_expr(adbin, adrelid) ~ '^nextval' AND sequence IS NOT NULL
                THEN 'default next of its own sequence'
                -- Two names of one value.
                ELSE 'default ' || replace(pg_get_expr(adbin, adrelid), 'CURRENT_TIMESTAMP', 'now()') END,
            attacl::text, col_description(attrelid, attnum))
        FROM pg_class o JOIN pg_namespace n ON n.oid = relnamespace
        JOIN pg_attribute ON attrelid = o.oid JOIN pg_type t ON t.oid = atttypid
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        CROSS JOIN LATERAL pg_get_serial_sequence(format('%I.%I', nspname, relname), attname) sequence
        WHERE relkind IN ('r', 'p', 'f') AND attnum > 0 AND NOT attisdropped
        AND {OWN} AND relname <> 'alembic_version'
    """,
    "constraint": f"""
        SELECT format('%I.%I.%I', nspname, coalesce(relname, typname), conname), concat_ws(' ',
            pg_get_constraintdef(o.oid), obj_description(o.oid, 'pg_constraint'))
        FROM pg_constraint o JOIN pg_namespace n ON n.oid = connamespace
        LEFT JOIN pg_class c ON c.oid = conrelid LEFT JOIN pg_type t ON t.oid = contypid
        WHERE contype NOT IN ('n', 't') AND {OWN} AND relname IS DISTINCT FROM 'alembic_version'
    """,
    "index": f"""
        SELECT format('%I.%I', nspname, relname), concat_ws(' ',
            pg_get_indexdef(o.oid), CASE WHEN NOT indisvalid THEN 'invalid' END, reloptions::text)
        FROM pg_class o JOIN pg_namespace n ON n.oid = relnamespace JOIN pg_index ON indexrelid = o.oid
        WHERE {OWN} AND indrelid IS DISTINCT FROM to_regclass('alembic_version')
        AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = o.oid AND contype IN ('p', 'u', 'x'))
    """,
    "type": f"""
        SELECT format('%I.%I', nspname, typname), CASE typtype
            WHEN 'e' THEN 'enum ' || (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder)
                FROM pg_enum WHERE enumtypid = o.oid)
            WHEN 'd' THEN concat_ws(' ', 'domain', format_type(typbasetype, typtypmod),
                CASE WHEN typnotnull THEN 'not null' END, typdefault)
            WHEN 'r' THEN (SELECT 'range of ' || format_type(rngsubtype, NULL) FROM pg_range WHERE rngtypid = o.oid)
            ELSE 'composite ' || (SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', '
                ORDER BY attnum) FROM pg_attribute WHERE attrelid = typrelid AND NOT attisdropped) END
        FROM pg_type o JOIN pg_namespace n ON n.oid = typnamespace LEFT JOIN pg_class c ON c.oid = typrelid
        WHERE (typtype IN ('e', 'd', 'r') OR relkind = 'c') AND {OWN}
    """,
    "function": f"""
        SELECT o.oid::regprocedure::text, CASE prokind WHEN 'a' THEN 'aggregate' ELSE pg_get_functiondef(o.oid) END
        FROM pg_proc o JOIN pg_namespace n ON n.oid = pronamespace WHERE {OWN}
    """,
    "trigger": f"""
        SELECT format('%I.%I.%I', nspname, relname, tgname), concat_ws(' ',
            pg_get_triggerdef(o.oid), CASE WHEN tgenabled <> 'O' THEN 'enabled: ' || tgenabled::text END)
        FROM pg_trigger o JOIN pg_class c ON c.oid = tgrelid JOIN pg_namespace n ON n.oid = relnamespace
        WHERE NOT tgisinternal AND {OWN}
    """,
    "policy": f"""
        SELECT format('%I.%I.%I', nspname, relname, polname), concat_ws(' ',
            polcmd, CASE WHEN polpermissive THEN 'permissive' ELSE 'restrictive' END, polroles::regrole[]::text,
            pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
        FROM pg_policy o JOIN pg_class c ON c.oid = polrelid JOIN pg_namespace n ON n.oid = relnamespace
        WHERE {OWN}
    """,
}

Catalog = dict[str, str]

# PostgreSQL keeps the spelling with which an expression was created: casts of text, and brackets around one word, one
# string or one list.
CASTS = re.compile(r"::(?:character varying|text)(?:\[\])?")
BRACKETS = re.compile(r"\((\w+|'[^']*'|ARRAY\[[^\[\]()]*\])\)")


def catalog(connection: Connection[Any]) -> Catalog:
    """The definitions of all objects of the database, by kind and name (`column public.users.email`)."""
    return catalog_by(lambda query: connection.execute(query.encode()))


def catalog_by(rows: Callable[[str], Iterable[Any]]) -> Catalog:
    """The same as `catalog`, with a function that runs a query and returns its rows."""
    return {f"{kind} {name}": definition or "" for kind, query in QUERIES.items() for name, definition in rows(query)}


@dataclass(frozen=True)
class Difference:
    """An object that only one schema has, or that differs; its text has a line for each definition.

    Args:
        name: the kind and the name of the object.
        expected: its definition in the first schema (`-`); None if there is no such object.
        actual: its definition in the second schema (`+`).
    """

    name: str
    expected: str | None
    actual: str | None

    def __str__(self) -> str:
        definitions = {"-": self.expected, "+": self.actual}
        return "\n".join(f"{sign} {self.name}: {text}" for sign, text in definitions.items() if text is not None)

    def key(self, only_expected: str, only_actual: str, differs: str) -> str:
        """One of the words, and the name."""
        word = only_expected if self.actual is None else only_actual if self.expected is None else differs
        return f"{word} {self.name}"


def differences(expected: Catalog, actual: Catalog) -> list[Difference]:
    """The objects that only `expected` has or only `actual`, or that differ, by name."""
    return [
        Difference(name, expected.get(name), actual.get(name))
        for name in sorted(expected.keys() | actual.keys())
        if _normalized(expected.get(name)) != _normalized(actual.get(name))
    ]


def _normalized(definition: str | None) -> str | None:
    if definition is None:
        return None
    shorter = BRACKETS.sub(r"\1", CASTS.sub("", definition))
    while shorter != definition:
        definition, shorter = shorter, BRACKETS.sub(r"\1", shorter)
    return definition
