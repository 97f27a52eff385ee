"""Schemas that are right: what Alembic writes for each form of a column, an index and a constraint is no drift."""

import enum
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Column, Index, MetaData, Table, func, text
from sqlalchemy.dialects import postgresql as pg

from tests.schemas.databases import Databases, drift
from tests.schemas.models import NAMES


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


COLOUR = sa.Enum(Colour, name="colour")
VALUES = sa.Enum(Colour, name="colour_values", values_callable=lambda kind: [member.value for member in kind])
CHECKED = sa.Enum(Colour, name="checked", native_enum=False, create_constraint=True)
SEARCH = func.to_tsvector(sa.literal_column("'english'"), text("title || ' ' || coalesce(body, '')"))

TYPES: list[Any] = [
    sa.SmallInteger, sa.Integer, sa.BigInteger, sa.REAL, sa.Double, sa.Float(53), sa.Float(3), sa.Numeric,
    sa.Numeric(10, 2), sa.String, sa.String(30), sa.CHAR(3), sa.Text, sa.Unicode(30), sa.LargeBinary, sa.Boolean,
    sa.Boolean(create_constraint=True, name="is_boolean"), sa.Date, sa.Time, sa.Time(timezone=True), sa.DateTime,
    sa.DateTime(timezone=True), pg.TIMESTAMP(timezone=True, precision=3), sa.Interval, pg.INTERVAL(precision=3),
    sa.Uuid, sa.JSON, pg.JSONB, pg.JSONPATH, pg.INET, pg.CIDR, pg.MACADDR, pg.MACADDR8, pg.BIT(8),
    pg.BIT(8, varying=True), pg.MONEY, pg.OID, pg.REGCLASS, pg.TSVECTOR, pg.TSQUERY, pg.TSTZRANGE, pg.INT4RANGE,
    pg.NUMRANGE, pg.DATERANGE, pg.INT4MULTIRANGE, COLOUR, VALUES, CHECKED, pg.ARRAY(COLOUR), pg.ARRAY(sa.String),
    pg.ARRAY(sa.Integer, dimensions=2), pg.HSTORE, pg.CITEXT, sa.String(collation="C"),
    sa.Text().with_variant(sa.String(20), "sqlite"), pg.DOMAIN("postcode", sa.Text, check=text("VALUE ~ '^[0-9]+$'")),
    sa.Enum("it's", 'a "b"', "a:b", name="quoted"),
]  # fmt: skip

DEFAULTS: list[tuple[Any, Any]] = [
    (sa.Uuid, func.gen_random_uuid()), (sa.Uuid, text("gen_random_uuid()")), (pg.JSONB, "{}"), (sa.JSON, "{}"),
    (sa.JSON, text("'{}'::json")), (pg.JSONB, text("'{}'::jsonb")), (pg.ARRAY(sa.Text), "{}"),
    (pg.ARRAY(sa.String), text("ARRAY[]::varchar[]")), (sa.Integer, "0"), (sa.Integer, text("0")),
    (sa.Integer, text("-1")), (sa.Numeric(10, 2), "0"), (sa.Numeric(10, 2), text("0.00")), (sa.Boolean, "false"),
    (sa.Boolean, text("'f'")), (sa.Boolean, sa.false()), (sa.String, "it's"), (sa.String, 'a "b" %'), (sa.String, ""),
    (sa.String, "a:b :c"), (sa.String, text("md5(random()::text)")), (sa.String, text("'a' || 'b'")), (COLOUR, "RED"),
    (sa.DateTime, func.timezone("utc", func.now())),
    (sa.DateTime, text("(now() at time zone 'utc')")), (sa.DateTime(timezone=True), func.now()),
    (sa.DateTime(timezone=True), func.current_timestamp()), (sa.DateTime(timezone=True), text("now()")),
    (sa.DateTime(timezone=True), func.clock_timestamp()), (sa.DateTime(timezone=True), text("now() + interval '1 d'")),
    (sa.Date, func.current_date()), (sa.Date, text("CURRENT_DATE")), (sa.Interval, text("interval '1 hour'")),
    (sa.Interval, "1 day"), (sa.Float, "1.5"), (pg.INET, text("'127.0.0.1'")), (pg.TSTZRANGE, text("'empty'")),
    (sa.LargeBinary, text(r"'\x00'")), (sa.BigInteger, text("(extract(epoch from now()) * 1000)::bigint")),
]  # fmt: skip

INDEXES: list[Callable[[], Index]] = [
    lambda: Index(None, "a"),
    lambda: Index("ix_two", "a", "title"),
    lambda: Index("ix_unique", "a", unique=True),
    lambda: Index("ix_partial", "a", postgresql_where=text("title IN ('x', 'y')")),
    lambda: Index("ix_include", "a", postgresql_include=["title"]),
    lambda: Index("ix_hash", "a", postgresql_using="hash"),
    lambda: Index("ix_gin", "tags", postgresql_using="gin"),
    lambda: Index("ix_gin_json", "data", postgresql_using="gin", postgresql_ops={"data": "jsonb_path_ops"}),
    lambda: Index("ix_brin", "a", postgresql_using="brin", postgresql_with={"pages_per_range": 32}),
    lambda: Index("ix_desc", text("a DESC NULLS LAST")),
    lambda: Index("ix_desc_by_ops", "a", postgresql_ops={"a": "DESC"}),
    lambda: Index("ix_pattern", "title", postgresql_ops={"title": "varchar_pattern_ops"}),
    lambda: Index("ix_lower", func.lower(text("title"))),
    lambda: Index("ix_coalesce", text("coalesce(title, '')"), "a"),
    lambda: Index("ix_search", SEARCH, postgresql_using="gin"),
    lambda: Index("ix_json", text("(data ->> 'name')")),
    lambda: Index("ix_cast", text("(a::text)")),
    lambda: Index("ix_collate", text('title COLLATE "C"')),
    lambda: Index("ix_nulls", "a", unique=True, postgresql_nulls_not_distinct=True),
    lambda: Index("an_index_with_a_name_that_is_as_long_as_what_postgresql_allows", "a"),
]

CONSTRAINTS: list[Callable[[], Any]] = [
    lambda: sa.CheckConstraint("a > 0", name="positive"),
    lambda: sa.CheckConstraint("title IN ('x', 'y')", name="listed"),
    lambda: sa.CheckConstraint("title ~ '^[a-z]+$' AND (a IS NULL OR a < 10)", name="both"),
    lambda: sa.CheckConstraint("title = '(x)::text'", name="quoted"),
    lambda: sa.CheckConstraint("a > 0", name="a_name_of_a_check_that_says_what_it_is_for_and_why_it_is"),
    lambda: sa.CheckConstraint("a > 0", name="not_validated", postgresql_not_valid=True),
    lambda: sa.UniqueConstraint("a"),
    lambda: sa.UniqueConstraint("a", "title", name="deferred", deferrable=True, initially="DEFERRED"),
    lambda: sa.UniqueConstraint("a", name="nulls", postgresql_nulls_not_distinct=True),
    lambda: sa.ForeignKeyConstraint(["a"], ["other.id"], ondelete="SET NULL", onupdate="CASCADE"),
    lambda: sa.ForeignKeyConstraint(["a"], ["other.id"], deferrable=True, initially="DEFERRED", name="later"),
    lambda: pg.ExcludeConstraint(("during", "&&"), name="no_overlap"),
    lambda: pg.ExcludeConstraint(("during", "&&"), name="some_overlap", where=text("a > 0")),
]

COLUMNS: list[Callable[[], Column[Any]]] = [
    lambda: Column("x", sa.BigInteger, sa.Identity(always=True)),
    lambda: Column("x", sa.Integer, sa.Identity(start=100, increment=10)),
    lambda: Column("x", sa.Integer, sa.Computed("a * 2")),
    lambda: Column("x", sa.Integer, sa.Computed("a * 2", persisted=True)),
    lambda: Column("x", pg.TSVECTOR, sa.Computed("to_tsvector('english', coalesce(title, ''))", persisted=True)),
    lambda: Column("x", sa.Text, comment="it's 100 % :new"),
    lambda: Column("Group By", sa.Text, server_default="user"),
    lambda: Column("x", sa.ForeignKey("other.id"), index=True, unique=True),
]


def models(*parts: Any, name: str = "notes", schema: str | None = None) -> MetaData:
    """A table of these parts, and another that it may refer to."""
    metadata = MetaData(naming_convention=NAMES, schema=schema)
    Table("other", metadata, Column("id", sa.Integer, primary_key=True), Column("title", sa.Text))
    Table(
        name,
        metadata,
        Column("id", sa.Integer, primary_key=True),
        Column("a", sa.Integer),
        Column("title", sa.String),
        Column("body", sa.Text),
        Column("tags", pg.ARRAY(sa.Text)),
        Column("data", pg.JSONB),
        Column("during", pg.TSTZRANGE),
        *parts,
    )
    return metadata


def migrated(databases: Databases, metadata: MetaData) -> str:
    """A database in which all that Alembic writes for these models has run."""
    name = databases.create()
    databases.execute(name, "CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE SCHEMA billing")
    databases.paste(name, databases.autogenerated(name, metadata, {}), metadata)
    return name


PARTS: dict[str, list[Callable[[], Any]]] = {
    "types": [partial(Column, f"c{number}", kind) for number, kind in enumerate(TYPES)],
    "defaults": [
        partial(Column, f"c{number}", kind, server_default=value) for number, (kind, value) in enumerate(DEFAULTS)
    ],
    "indexes": [*INDEXES],
    "constraints": [*CONSTRAINTS],
}


@pytest.mark.parametrize("schema", [None, "billing"], ids=["public", "a second schema"])
@pytest.mark.parametrize("kind", PARTS)
def test_what_alembic_writes_is_no_drift(databases: Databases, kind: str, schema: str | None) -> None:
    parts = [part() for part in PARTS[kind]]
    if schema is not None:
        parts = [part for part in parts if not isinstance(part, sa.ForeignKeyConstraint)]
    metadata = models(*parts, schema=schema)

    found = drift(databases, metadata, migrated(databases, metadata))

    assert found.keys == set()
    assert found.models.left_out == {}


@pytest.mark.parametrize("column", range(len(COLUMNS)))
def test_a_column_is_no_drift(databases: Databases, column: int) -> None:
    metadata = models(COLUMNS[column](), name="order")

    assert drift(databases, metadata, migrated(databases, metadata)).keys == set()


def name_of(value: object) -> str:
    """The id of a statement; that of a function would be an address."""
    return value[:60] if isinstance(value, str) else "model"


# What is written in a migration, and what a model has.
WRITTEN: list[tuple[str, Callable[[], Any]]] = [
    ("ADD x timestamptz DEFAULT CURRENT_TIMESTAMP", lambda: Column("x", sa.DateTime(True), server_default=func.now())),
    ("ADD x timestamp DEFAULT LOCALTIMESTAMP", lambda: Column("x", sa.DateTime, server_default=func.now())),
    ("ADD x date DEFAULT now()::date", lambda: Column("x", sa.Date, server_default=func.current_date())),
    (
        "ADD x timestamp DEFAULT timezone('utc', now())",
        lambda: Column("x", sa.DateTime, server_default=text("(CURRENT_TIMESTAMP AT TIME ZONE 'utc')")),
    ),
    ("ADD x varchar DEFAULT 'it''s'::text", lambda: Column("x", sa.String, server_default="it's")),
    ("ADD x numeric(10, 2) DEFAULT 0.00", lambda: Column("x", sa.Numeric(10, 2), server_default="0")),
    ("ADD x boolean DEFAULT 'f'", lambda: Column("x", sa.Boolean, server_default=sa.false())),
    ("ADD x int DEFAULT (1 + 1)", lambda: Column("x", sa.Integer, server_default="2")),
    ("ADD x jsonb DEFAULT '{ }'", lambda: Column("x", pg.JSONB, server_default="{}")),
    (
        "ADD CONSTRAINT ck_notes_c CHECK (title = ANY (ARRAY['x'::text, 'y'::text]))",
        lambda: sa.CheckConstraint("title IN ('x', 'y')", name="c"),
    ),
    ("ADD CONSTRAINT ck_notes_c CHECK ((((a > 0))))", lambda: sa.CheckConstraint("a > 0", name="c")),
    (
        "ADD CONSTRAINT ck_notes_a_name_of_a_check_that_says_what_it_is_for_and_why_it_is CHECK (a > 0)",
        lambda: sa.CheckConstraint("a > 0", name="a_name_of_a_check_that_says_what_it_is_for_and_why_it_is"),
    ),
]


@pytest.mark.parametrize(("statement", "part"), WRITTEN, ids=name_of)
def test_what_is_written_in_other_words_is_no_drift(
    databases: Databases, statement: str, part: Callable[[], Any]
) -> None:
    name = migrated(databases, models())
    databases.execute(name, f"ALTER TABLE notes {statement}")

    assert drift(databases, models(part()), name).keys == set()


def test_privileges_that_a_table_has_by_default_may_be_spelled_out(databases: Databases) -> None:
    name = migrated(databases, models())
    databases.execute(name, "GRANT ALL ON notes TO CURRENT_USER; GRANT ALL ON SCHEMA billing TO CURRENT_USER")

    assert drift(databases, models(), name).keys == set()


# What looks alike, and differs.
OTHER: list[tuple[str, Callable[[], Any]]] = [
    ("ADD x varchar DEFAULT '(a)'", lambda: Column("x", sa.String, server_default="a")),
    ("ADD x varchar DEFAULT 'a::text'", lambda: Column("x", sa.String, server_default="a")),
    ("ADD x timestamptz DEFAULT clock_timestamp()", lambda: Column("x", sa.DateTime(True), server_default=func.now())),
    ("ADD CONSTRAINT ck_notes_c CHECK (a > 1)", lambda: sa.CheckConstraint("a > 0", name="c")),
    ("ADD CONSTRAINT ck_notes_c CHECK (title IN ('x'))", lambda: sa.CheckConstraint("title IN ('x', 'y')", name="c")),
    (
        "ADD CONSTRAINT ck_notes_c CHECK ((title = 'x' OR a > 0) AND a < 9)",
        lambda: sa.CheckConstraint("title = 'x' OR a > 0 AND a < 9", name="c"),
    ),
]


@pytest.mark.parametrize(("statement", "part"), OTHER, ids=name_of)
def test_what_only_looks_alike_is_drift(databases: Databases, statement: str, part: Callable[[], Any]) -> None:
    name = migrated(databases, models())
    databases.execute(name, f"ALTER TABLE notes {statement}")

    [key] = drift(databases, models(part()), name).keys

    assert key.startswith("differs: ")


def test_an_index_on_a_cast_is_not_one_on_the_column(databases: Databases) -> None:
    name = migrated(databases, models())
    databases.execute(name, "CREATE INDEX ix ON notes ((title::text))")

    found = drift(databases, models(Index("ix", "title")), name)

    assert found.keys == {"differs: index public.ix"}
