"""Tells whether two definitions mean the same, by PostgreSQL's planner, which folds constants and casts.

`plan IN ('free', 'paid')` is kept as it was created: as `ANY (ARRAY['free'::varchar, …]::text[])`, or with a cast of
each. EXPLAIN VERBOSE prints both as `ANY ('{free,paid}'::text[])`, and `0.00` and `0` as one number, if that is the
default of a numeric(10, 2). Nothing is executed.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from .catalog import Difference, Rows, split
from .normal_form import normal_form

# The table, the rest of the definition, and the expressions in it. `name` is the object's.
EXPRESSIONS = {
    "column": """
        SELECT format('%I.%I', nspname, relname), concat_ws(' ', format_type(atttypid, atttypmod),
            attcollation::regcollation, attidentity, attgenerated), ARRAY[pg_get_expr(adbin, adrelid)]
        FROM pg_attrdef JOIN pg_class c ON c.oid = adrelid JOIN pg_namespace n ON n.oid = relnamespace
        JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
        WHERE attgenerated <> '' AND format('%I.%I.%I', nspname, relname, attname) = {name}
    """,
    "default": """
        SELECT format('%I.%I', nspname, relname), '', ARRAY[format('CAST(%s AS %s)', pg_get_expr(adbin, adrelid),
            format_type(atttypid, atttypmod))]
        FROM pg_attrdef JOIN pg_class c ON c.oid = adrelid JOIN pg_namespace n ON n.oid = relnamespace
        JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
        WHERE attgenerated = '' AND format('%I.%I.%I', nspname, relname, attname) = {name}
    """,
    "constraint": """
        SELECT format('%I.%I', nspname, relname), pg_get_constraintdef(o.oid), ARRAY[pg_get_expr(conbin, conrelid)]
        FROM pg_constraint o JOIN pg_class c ON c.oid = conrelid JOIN pg_namespace n ON n.oid = relnamespace
        WHERE contype = 'c' AND format('%I.%I.%I', nspname, relname, conname) = {name}
    """,
    "index": """
        SELECT format('%I.%I', nspname, c.relname),
            concat_ws(' ', pg_get_indexdef(indexrelid), indisvalid, indisclustered),
            array_remove(
            (SELECT array_agg(pg_get_indexdef(indexrelid, key::int, false)) FROM generate_series(1, indnkeyatts) key
                WHERE indkey[key - 1] = 0) || pg_get_expr(indpred, indrelid), NULL)
        FROM pg_index JOIN pg_class c ON c.oid = indrelid JOIN pg_class i ON i.oid = indexrelid
        JOIN pg_namespace n ON n.oid = i.relnamespace
        WHERE format('%I.%I', nspname, i.relname) = {name}
    """,
    "policy": """
        SELECT format('%I.%I', nspname, relname), concat_ws(' ', polcmd, polpermissive, polroles::regrole[]::text,
            polqual IS NULL),
            array_remove(ARRAY[pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)], NULL)
        FROM pg_policy JOIN pg_class c ON c.oid = polrelid JOIN pg_namespace n ON n.oid = relnamespace
        WHERE format('%I.%I.%I', nspname, relname, polname) = {name}
    """,
}
# The planner takes a subquery out of the expression.
SUBQUERY = re.compile(r"\b(SELECT|SubPlan|InitPlan|hashed)\b")
# PostgreSQL 15 to 18 keep how these were written.
CLOCK = [
    (re.compile(r"\(now\(\)\)::date\b"), "CURRENT_DATE"),
    (re.compile(r"\(now\(\)\)::timestamp without time zone\b"), "LOCALTIMESTAMP"),
    (re.compile(r"timezone\(('[^']*'), now\(\)\)"), r"(now() AT TIME ZONE \1)"),
]


def with_other_meaning(found: Iterable[Difference], expected: Rows, actual: Rows) -> list[Difference]:
    """The differences without those that the planner makes the same."""
    return [difference for difference in found if not _means_the_same(difference, expected, actual)]


def _means_the_same(difference: Difference, expected: Rows, actual: Rows) -> bool:
    if difference.expected is None or difference.actual is None:
        return False
    planned = _planned(difference.name, expected)
    return planned is not None and planned == _planned(difference.name, actual)


def _planned(name: str, rows: Rows) -> tuple[str, list[str]] | None:
    """The definition without its expressions, and what the planner makes of them."""
    kind, qualified = split(name)
    if kind not in EXPRESSIONS:
        return None
    literal = "'" + qualified.replace("'", "''") + "'"
    found = list(rows(EXPRESSIONS[kind].replace("{name}", literal)))
    if not found:
        return None
    [(table, rest, expressions)] = found
    for expression in expressions:
        rest = rest.replace(expression, "")
    return rest, [_plan(expression, table, rows) for expression in expressions]


def _plan(expression: str, table: str, rows: Rows) -> str:
    if SUBQUERY.search(expression):
        return normal_form(expression)
    [(plan,)] = rows(f"EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) SELECT {expression} FROM ONLY {table}")
    read: Any = json.loads(plan) if isinstance(plan, str) else plan
    [text] = read[0]["Plan"]["Output"]
    if SUBQUERY.search(text):
        return normal_form(expression)
    text = normal_form(text)
    for pattern, replacement in CLOCK:
        text = pattern.sub(replacement, text)
    return text
