"""Models of a shop, with all that PostgreSQL has beside tables."""

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Table, UniqueConstraint, event, text
from sqlalchemy.dialects import postgresql

NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

BEFORE = """
CREATE SCHEMA IF NOT EXISTS billing;
CREATE DOMAIN postcode AS text NOT NULL DEFAULT '00000' CONSTRAINT digits CHECK (VALUE ~ '^[0-9]{5}$');
CREATE TYPE address AS (street text, "House No" integer);
CREATE TYPE float_range AS RANGE (subtype = float8);
CREATE FUNCTION normalized(value text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower(trim(value))'
"""
AFTER = """
CREATE SEQUENCE invoice_numbers AS integer START 1000 INCREMENT 2;
CREATE INDEX ix_users_normalized ON users (normalized(email));
CREATE VIEW admins AS SELECT id, email FROM users WHERE role = 'admin';
CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS users FROM users;
CREATE UNIQUE INDEX ix_totals ON totals (users);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.nickname := 'a:b'; RETURN NEW; END$$;
CREATE TRIGGER stamp BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE TRIGGER stamp_orders BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION stamp();
ALTER TABLE orders DISABLE TRIGGER stamp_orders;
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON users FOR SELECT TO schemas_reader USING (email = current_setting('app.user'));
ALTER TABLE users SET (fillfactor = 70, autovacuum_enabled = false);
GRANT SELECT, INSERT ON users TO schemas_reader;
GRANT UPDATE (nickname) ON users TO schemas_reader;
GRANT USAGE ON SCHEMA billing TO schemas_reader;
GRANT USAGE ON SEQUENCE invoice_numbers TO schemas_reader;
REVOKE EXECUTE ON FUNCTION normalized(text) FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA billing GRANT SELECT ON TABLES TO schemas_reader;
CREATE STATISTICS roles ON role, nickname FROM users;
CREATE RULE keep AS ON DELETE TO settings DO INSTEAD NOTHING;
COMMENT ON MATERIALIZED VIEW totals IS 'it''s a view: {now} :now';
COMMENT ON CONSTRAINT pk_users ON users IS 'the key';
ALTER TABLE settings REPLICA IDENTITY FULL;
ALTER TABLE users ALTER COLUMN nickname SET STATISTICS 500;
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')
"""


def _sender(statements: str) -> Callable[..., None]:
    def send(target: object, connection: sa.Connection, **options: object) -> None:
        connection.exec_driver_sql(statements.replace("%", "%%"))

    return send


def shop() -> sa.MetaData:
    """The models."""
    metadata = sa.MetaData(naming_convention=NAMES)
    plan = sa.Enum("free", "paid", name="plan")
    Table(
        "users",
        metadata,
        Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        Column("email", sa.String(254), unique=True, nullable=False, comment="it's the login"),
        Column("role", sa.String, nullable=False, server_default="user", index=True),
        Column("plan", plan, nullable=False, server_default="free"),
        Column("plans", postgresql.ARRAY(plan)),
        Column("nickname", sa.Text),
        Column("age", sa.Integer),
        Column("doubled", sa.Integer, sa.Computed("age * 2", persisted=True)),
        Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        Column("settings", sa.JSON, nullable=False, server_default="{}"),
        Column("sorted", sa.Text(collation="C")),
        CheckConstraint("role IN ('user', 'admin')", name="role"),
        CheckConstraint("age > 0", name="age"),
        Index("ix_users_active", "nickname", postgresql_where=text("age > 17")),
        Index("ix_users_search", sa.func.lower(text("email"))),
        comment="who may log in",
    )
    Table(
        "orders",
        metadata,
        Column("id", sa.Integer, primary_key=True),
        Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
        Column("total", sa.Numeric(10, 2), nullable=False, server_default="0"),
        Column("during", postgresql.TSTZRANGE),
        Column("room", sa.Integer),
        UniqueConstraint("user_id", "room"),
        postgresql.ExcludeConstraint(("during", "&&"), name="ex_orders_during"),
    )
    Table(
        "invoices",
        metadata,
        Column("id", sa.Integer, primary_key=True, autoincrement=False),
        Column("order_id", ForeignKey("orders.id"), index=True),
        schema="billing",
    )
    Table("settings", metadata, Column("key", sa.Text, primary_key=True), Column("value", postgresql.JSONB))
    Table("logs", metadata, Column("line", sa.Text), prefixes=["UNLOGGED"])
    Table("order", metadata, Column("user", sa.Text, server_default="me"), Column("Group", sa.Integer))
    Table("events", metadata, Column("at", sa.Date), Column("n", sa.Integer), postgresql_partition_by="RANGE (at)")
    Table("tags", metadata, Column("a", sa.Integer), Column("b", sa.Integer))
    event.listen(metadata, "before_create", _sender(BEFORE))
    event.listen(metadata, "after_create", _sender(AFTER))
    return metadata
