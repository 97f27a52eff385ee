"""Models that create_all() cannot create alone, and registries of other libraries."""

import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.ddl.postgresql import PostgresqlImpl
from sqlalchemy import Column, Index, MetaData, Table, text

from tests.schemas.databases import Databases, drift

NORMALIZED = "CREATE FUNCTION normalized(value text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower(value)'"
USERS = "CREATE TABLE users (id serial PRIMARY KEY, email varchar)"


def models(*parts: Any) -> MetaData:
    metadata = MetaData()
    Table("users", metadata, Column("id", sa.Integer, primary_key=True), Column("email", sa.String), *parts)
    return metadata


def test_an_index_may_use_a_function_that_only_migrations_make(databases: Databases) -> None:
    migrated = databases.create()
    databases.execute(migrated, f"{NORMALIZED}; {USERS}; CREATE INDEX ix ON users (normalized(email))")
    metadata = models(Index("ix", text("normalized(email)")))

    assert drift(databases, metadata, migrated).keys == {"only in migrations: function normalized(text)"}
    assert drift(databases, metadata, migrated, ["function normalized(*"]).keys == set()


def test_a_column_may_have_a_type_that_only_migrations_make(databases: Databases) -> None:
    plan = sa.Enum("free", "paid", name="plan", create_type=False)
    migrated = databases.create()
    databases.execute(migrated, f"CREATE TYPE plan AS ENUM ('free', 'paid'); {USERS}; ALTER TABLE users ADD plan plan")

    found = drift(databases, models(Column("plan", plan), Column("age", sa.Integer)), migrated)

    assert found.keys == {"only in models: column public.users.age", "only in migrations: type public.plan"}


def test_the_rest_is_compared_if_an_object_cannot_be_created(databases: Databases) -> None:
    migrated = databases.create()
    databases.execute(migrated, f"{USERS}; CREATE INDEX ix ON users (lower(email))")
    metadata = models(Index("ix", text("gone(email)")), Column("age", sa.Integer))

    found = drift(databases, metadata, migrated)

    assert found.keys == {"only in models: column public.users.age"}
    assert found.models.left_out == {"index public.ix": "function gone(character varying) does not exist"}


def test_a_crash_of_alembics_comparison_is_not_met(databases: Databases) -> None:
    """It runs `SELECT '{}' = default`, and json has no equality."""
    migrated = databases.create()
    databases.execute(
        migrated, f"{USERS}; ALTER TABLE users ADD settings json DEFAULT '{{}}', ADD other json DEFAULT '1'"
    )
    before = PostgresqlImpl.compare_server_default
    metadata = models(
        Column("settings", sa.JSON, server_default=text("'{}'::json")),
        Column("other", sa.JSON, server_default="2"),
    )

    found = drift(databases, metadata, migrated)

    assert found.keys == {"differs: default public.users.other"}
    assert [each.text.partition("(")[0] for each in found.operations] == ["op.alter_column"]
    assert PostgresqlImpl.compare_server_default is before


def test_imports_are_printed(databases: Databases) -> None:
    migrated = databases.create()
    databases.execute(migrated, USERS)
    metadata = models(Column("data", sa.dialects.postgresql.JSONB), Column("ip", sa.dialects.postgresql.INET))

    found = drift(databases, metadata, migrated)

    assert {line for each in found.operations for line in each.imports} == {
        "from sqlalchemy.dialects import postgresql"
    }
    databases.paste(migrated, found.operations, metadata)
    assert drift(databases, metadata, migrated).keys == set()


def test_several_metadata_may_share_a_schema(databases: Databases) -> None:
    migrated = databases.create()
    databases.execute(migrated, f"CREATE SCHEMA billing; {USERS}")
    metadata = models()
    Table("invoices", metadata, Column("id", sa.Integer, primary_key=True), schema="billing")
    Table("prices", metadata, Column("id", sa.Integer, primary_key=True), schema="shop")

    found = drift(databases, metadata, migrated)

    assert found.keys == {
        "only in models: relation billing.invoices",
        "only in models: relation shop.prices",
        "only in models: schema shop",
    }
    databases.paste(migrated, found.operations, metadata)
    assert drift(databases, metadata, migrated).keys == set()


def test_many_operations_are_tried_together(databases: Databases) -> None:
    """But for those of a table that differs then: Alembic adds the CHECK of a Boolean once more."""
    migrated = databases.create()
    databases.execute(
        migrated, f"{USERS}; ALTER TABLE users ADD old int, ADD checked boolean; CREATE INDEX gone ON users (old)"
    )
    metadata = models(
        Column("checked", sa.Boolean(create_constraint=True, name="checked")), Column("age", sa.Integer, index=True)
    )
    for number in range(15):
        Table(f"t{number}", metadata, Column("id", sa.Integer, primary_key=True), Column("a", sa.Text, index=True))

    found = drift(databases, metadata, migrated)

    assert {key for key in found.keys if "only in migrations" not in key} == {
        "only in models: column public.users.age",
        "only in models: index public.ix_users_age",
        *(f"only in models: relation public.t{number}" for number in range(15)),
    }
    assert found.left == []
    assert len(found.operations) == 32
    databases.paste(migrated, [*found.operations, *found.drops], metadata)
    assert drift(databases, metadata, migrated).keys == set()


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Registers entities as `alembic_utils` does: by the statement that creates them."""

    def register(*statements: str) -> None:
        entities = [SimpleNamespace(to_sql_statement_create=lambda text=text: sa.text(text)) for text in statements]
        module: Any = ModuleType("alembic_utils.replaceable_entity")
        module.registry = SimpleNamespace(entities=lambda: entities)
        monkeypatch.setitem(sys.modules, "alembic_utils.replaceable_entity", module)

    return register


def test_entities_of_alembic_utils_are_part_of_the_models(
    databases: Databases, registered: Callable[..., None]
) -> None:
    registered("CREATE VIEW emails AS SELECT email FROM users WHERE email <> 'a\\:b'", NORMALIZED)
    migrated = databases.create()
    databases.execute(migrated, f"{NORMALIZED}; {USERS}; CREATE INDEX ix ON users (normalized(email))")
    metadata = models(Index("ix", text("normalized(email)")))

    found = drift(databases, metadata, migrated)

    assert found.keys == {"only in models: relation public.emails"}
    databases.paste(migrated, found.operations, metadata)
    assert drift(databases, metadata, migrated).keys == set()


def test_a_version_table_of_any_name_is_no_drift(databases: Databases) -> None:
    migrated = databases.create()
    version = "CREATE TABLE versions (version_num varchar(32) NOT NULL CONSTRAINT versions_pkc PRIMARY KEY)"
    databases.execute(migrated, f"{USERS}; {version}")

    assert drift(databases, models(), migrated).keys == set()


def test_tables_of_an_extension_are_no_drift(databases: Databases) -> None:
    """Of any extension: this one makes a view."""
    migrated = databases.create()
    databases.execute(migrated, f"CREATE EXTENSION pg_buffercache; {USERS}")

    assert drift(databases, models(), migrated).keys == set()
