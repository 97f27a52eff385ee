"""Bodies of migrations, dangerous and harmless, and what the checks of new revisions say of each."""

from pathlib import Path

import pytest
from harness.postgres.server import Server

from tests.harness.revisions import Revisions

BASE = """
CREATE TYPE plan AS ENUM ('free', 'paid', 'trial');;
CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email varchar(254) NOT NULL UNIQUE,
    full_name text,
    nickname varchar(50),
    age integer,
    plan plan NOT NULL DEFAULT 'free',
    is_active boolean NOT NULL DEFAULT true,
    settings jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    role varchar(16) NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin')),
    referrer_id bigint REFERENCES users (id)
);;
CREATE TABLE payments (
    id serial PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    amount numeric(10, 2) NOT NULL CHECK (amount > 0),
    note text
);;
CREATE INDEX ix_payments_user_id ON payments (user_id);;
CREATE SCHEMA shop;;
CREATE TABLE shop.orders (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), number integer NOT NULL)
"""
BATCHES = """
with op.get_context().autocommit_block():
    for first in range(0, 40000, 1000):
        op.execute(f"UPDATE users SET {0} WHERE id BETWEEN {{first}} AND {{first + 999}}")
"""


@pytest.fixture
def revisions(server: Server, tmp_path: Path) -> Revisions:
    found = Revisions(server, tmp_path)
    found.add("0001", BASE, "DROP TABLE payments;;DROP TABLE users;;DROP TYPE plan;;DROP SCHEMA shop CASCADE")
    return found


# An upgrade, and the lines below the heading: what is gone, and by which statement.
DESTROYS = {
    "ALTER TABLE users DROP COLUMN email": ["column public.users.email and its 5 values: ALTER TABLE users DROP"],
    "ALTER TABLE users DROP email": ["column public.users.email and its 5 values"],
    "-- clean up\nDROP TABLE payments": ["table public.payments and its 4 rows: -- clean up DROP TABLE payments"],
    "/* clean up */ DELETE FROM payments": ["4 of 4 rows of public.payments: /* clean up */ DELETE FROM payments"],
    "DELETE FROM payments WHERE amount < 0": ["DELETE FROM payments WHERE amount < 0"],
    "DELETE FROM users": ["4 of 4 rows of public.payments", "5 of 5 rows of public.users: DELETE FROM users"],
    "CREATE TABLE archive AS TABLE payments WITH NO DATA;;"
    "WITH old AS (DELETE FROM payments RETURNING *) INSERT INTO archive SELECT * FROM old": [
        "4 of 4 rows of public.payments: WITH old AS (DELETE FROM payments RETURNING *) INSERT INTO archive"
    ],
    "DO $$ BEGIN DELETE FROM payments; END $$": ["4 of 4 rows of public.payments: DO $$ BEGIN DELETE"],
    "DO $$ BEGIN EXECUTE 'DROP TABLE pay' || 'ments'; END $$": ["table public.payments and its 4 rows: DO $$"],
    "DROP SCHEMA shop CASCADE": ["table shop.orders and its 4 rows: DROP SCHEMA shop CASCADE"],
    "TRUNCATE payments": ["4 of 4 rows of public.payments: TRUNCATE payments"],
    "UPDATE users SET nickname = NULL": ["4 values of public.users.nickname are NULL now: UPDATE users SET"],
    "UPDATE users SET nickname = ''": ["3 different values of public.users.nickname are 1 now"],
    "UPDATE users SET is_active = true": ["2 different values of public.users.is_active are 1 now: true"],
    "UPDATE users SET plan = 'free'": ["3 different values of public.users.plan are 1 now: free"],
    "ALTER TABLE users ALTER created_at TYPE date": ["3 different values of public.users.created_at are 1 now"],
    "ALTER TABLE payments ALTER amount TYPE integer": ["2 different values of public.payments.amount are 1 now"],
    "ALTER TABLE users ALTER full_name TYPE varchar(20) USING left(full_name, 20)": [
        "3 different values of public.users.full_name are 1 now"
    ],
    "ALTER TABLE users DROP COLUMN age;;ALTER TABLE users ADD COLUMN age integer": [
        "4 values of public.users.age are NULL now: ALTER TABLE users DROP COLUMN age"
    ],
    "DROP TABLE payments;;CREATE TABLE payments (id serial PRIMARY KEY, user_id bigint, amount numeric, note text)": [
        "4 of 4 rows of public.payments: DROP TABLE payments"
    ],
    'op.drop_table("payments")': ["table public.payments and its 4 rows: DROP TABLE payments"],
    'op.drop_column("users", "age")': ["column public.users.age and its 4 values: ALTER TABLE users DROP COLUMN age"],
    "ALTER TABLE users DROP CONSTRAINT users_email_key;;ALTER TABLE users ADD COLUMN mail text;;"
    "ALTER TABLE users DROP COLUMN email": ["column public.users.email and its 5 values"],
}


@pytest.mark.parametrize("upgrade", DESTROYS)
def test_what_destroys_data(revisions: Revisions, upgrade: str) -> None:
    revisions.add("0002", upgrade)

    found = revisions.check()

    heading, *lines = found.data.splitlines()
    assert heading == "The upgrade of 0002 deletes data:"
    shown = [line for line in lines if line.startswith("  ")]
    assert len(shown) == len(DESTROYS[upgrade]), found.data
    for line, words in zip(shown, DESTROYS[upgrade], strict=True):
        assert line.startswith(f"  {words}"), found.data
    assert 'destructive = "the reason"' in found.data


@pytest.mark.parametrize("upgrade", DESTROYS)
def test_what_is_declared_destructive(revisions: Revisions, upgrade: str) -> None:
    revisions.add("0002", upgrade, says='irreversible = destructive = "nothing reads it"')

    assert revisions.check().data == ""


# An upgrade, PostgreSQL's message, and the advice.
FAILS = {
    "ALTER TABLE users ADD COLUMN team_id bigint NOT NULL": (
        'column "team_id" of relation "users" contains null values',
        "give the column a server_default",
    ),
    "ALTER TABLE users ALTER nickname SET NOT NULL": ('column "nickname" of relation', "fill it, and set it NOT NULL"),
    "CREATE UNIQUE INDEX uq ON users (nickname)": ("Key (nickname)=(Änickname", "merge or change them"),
    "ALTER TABLE users ADD CONSTRAINT uq UNIQUE (nickname, age)": ("Key (nickname, age)=(Änickname", "merge or change"),
    "ALTER TABLE users ALTER full_name TYPE integer USING full_name::integer": (
        "invalid input syntax for type integer",
        "Not every value can be converted",
    ),
    "ALTER TABLE users ALTER email TYPE varchar(20)": ("value too long for type", "Not every value can be converted"),
    "CREATE TYPE plan2 AS ENUM ('free', 'paid');;ALTER TABLE users ALTER plan DROP DEFAULT, "
    "ALTER plan TYPE plan2 USING plan::text::plan2": ('invalid input value for enum plan2: "trial"', "Not every value"),
    "ALTER TABLE users ADD CONSTRAINT ck CHECK (length(email) < 5 AND length(email) > 5)": (
        'check constraint "ck" of relation "users" is violated by some row',
        "Rows may violate the constraint",
    ),
    "DELETE FROM users WHERE id = (SELECT referrer_id FROM users WHERE referrer_id IS NOT NULL LIMIT 1)": (
        'violates foreign key constraint "users_referrer_id_fkey"',
        "Rows may refer to rows",
    ),
    'for row in op.get_bind().execute(sa.text("SELECT settings FROM users")):\n    row.settings["theme"]': (
        "KeyError: 'theme'",
        "The rows are made up.",
    ),
}


@pytest.mark.parametrize("upgrade", FAILS)
def test_what_fails_on_rows(revisions: Revisions, upgrade: str) -> None:
    revisions.add("0002", upgrade)

    found = revisions.check()

    message, advice = FAILS[upgrade]
    assert found.data.startswith("The upgrade of 0002 fails if the tables have rows: versions/0002.py:"), found
    assert message in found.data
    assert advice in found.data
    assert "write INSERTs of rows like them to rows/0002.sql: a table that it fills" in found.data
    assert found.keys[0] == "0002: upgrade fails on rows"


KEEPS = [
    "ALTER TABLE users RENAME COLUMN full_name TO name",
    "ALTER TABLE payments RENAME TO invoices",
    "DO $$ BEGIN ALTER TABLE payments RENAME TO invoices; END $$",
    "ALTER TABLE users ADD COLUMN name text;;UPDATE users SET name = full_name;;ALTER TABLE users DROP full_name",
    "ALTER TABLE users ADD first_name text, ADD last_name text;;UPDATE users SET first_name = "
    "split_part(full_name, ' ', 1), last_name = split_part(full_name, ' ', 2);;ALTER TABLE users DROP COLUMN full_name",
    "ALTER TABLE users ADD first_name text, ADD last_name text;;UPDATE users SET first_name = "
    "split_part(full_name, ' ', 1), last_name = split_part(full_name, ' ', 2)",
    "CREATE TABLE profiles AS SELECT id, full_name, nickname FROM users;;"
    "ALTER TABLE users DROP full_name, DROP nickname",
    "UPDATE users SET settings = settings || jsonb_build_object('age', age) WHERE age IS NOT NULL",
    "CREATE TABLE bills AS TABLE payments;;DROP TABLE payments",
    "ALTER TABLE users ALTER age TYPE bigint",
    "ALTER TABLE users ALTER nickname TYPE text",
    "ALTER TABLE payments ALTER amount TYPE bigint USING (amount * 100)::bigint",
    "ALTER TABLE users ALTER created_at TYPE timestamp USING created_at AT TIME ZONE 'UTC'",
    "ALTER TYPE plan RENAME VALUE 'trial' TO 'test'",
    "UPDATE users SET plan = 'paid' WHERE plan = 'trial'",
    "with op.get_context().autocommit_block():\n    op.execute(\"ALTER TYPE plan ADD VALUE 'gift'\")",
    "ALTER TABLE payments SET SCHEMA shop",
    "DROP INDEX ix_payments_user_id",
    "UPDATE users SET email = lower(email)",
    "UPDATE users SET nickname = coalesce(nickname, '')",
    "UPDATE users SET nickname = '' WHERE nickname IS NULL;;ALTER TABLE users ALTER nickname SET NOT NULL",
    "ALTER TABLE users ADD CONSTRAINT ck CHECK (age > 0)",
    "ALTER TABLE users ADD CONSTRAINT ck CHECK (email LIKE '%@%' AND nickname ~ '^[a-z]+$')",
    "ALTER TABLE users ADD CONSTRAINT fk FOREIGN KEY (age) REFERENCES payments (id)",
    "ALTER TABLE users ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid()",
    "INSERT INTO users (email) VALUES ('admin@example.com')",
    "CREATE TABLE teams (id int PRIMARY KEY);;INSERT INTO teams VALUES (1);;DELETE FROM teams;;DROP TABLE teams",
    "CREATE TEMP TABLE old AS TABLE users;;DELETE FROM old",
    "pass",
]


@pytest.mark.parametrize("upgrade", KEEPS)
def test_what_keeps_data(revisions: Revisions, upgrade: str) -> None:
    revisions.add("0002", upgrade, says='irreversible = "a test of upgrades"')

    found = revisions.check()

    assert found.data == ""
    assert found.summary == []


# An upgrade, and the keys of what locks or breaks.
LOCKS = {
    "UPDATE users SET email = lower(email)": ["update-whole-table: UPDATE users SET email = lower(email)"],
    "ALTER TABLE users ADD COLUMN score int;;UPDATE users SET score = 0 WHERE score IS NULL": [
        "update-whole-table: UPDATE users SET score = 0 WHERE score IS NULL"
    ],
    "LOCK TABLE users": ["lock-table: LOCK TABLE users"],
    "LOCK users IN SHARE MODE": ["lock-table: LOCK users IN SHARE MODE"],
    'with op.get_context().autocommit_block():\n    op.execute("VACUUM FULL users")': [
        "vacuum-full: VACUUM FULL users"
    ],
    'with op.get_context().autocommit_block():\n    op.execute("VACUUM (ANALYZE, FULL) users")': [
        "vacuum-full: VACUUM (ANALYZE, FULL) users"
    ],
    "CLUSTER payments USING ix_payments_user_id": ["cluster: CLUSTER payments USING ix_payments_user_id"],
    "ALTER TABLE payments SET UNLOGGED": ["set-unlogged: ALTER TABLE payments SET UNLOGGED"],
    "ALTER TABLE users ADD COLUMN token uuid DEFAULT gen_random_uuid()": [
        "adding-field-with-default: ALTER TABLE users ADD COLUMN token uuid DEFAULT gen_random_uuid()"
    ],
    "ALTER TABLE users ADD COLUMN score int NOT NULL DEFAULT 1;;ALTER TABLE users ALTER score DROP DEFAULT": [
        "required: public.users.score"
    ],
    "ALTER TABLE users ALTER created_at DROP DEFAULT": ["required: public.users.created_at"],
    "ALTER TABLE users ADD CONSTRAINT ck CHECK (age > 0) NOT VALID;;ALTER TABLE users VALIDATE CONSTRAINT ck": [
        "constraint-missing-not-valid: ALTER TABLE users VALIDATE CONSTRAINT ck"
    ],
    "CREATE TABLE bills AS TABLE payments;;DROP TABLE payments": ["moved: table public.payments"],
    "DO $$ BEGIN ALTER TABLE users RENAME COLUMN full_name TO name; END $$": ["moved: column public.users.full_name"],
    "DO $$ BEGIN ALTER TABLE payments RENAME TO invoices; END $$": ["moved: table public.payments"],
    "ALTER TABLE payments SET SCHEMA shop": ["moved: table public.payments"],
    "ALTER TABLE users RENAME COLUMN full_name TO name": [
        "renaming-column: ALTER TABLE users RENAME COLUMN full_name TO name"
    ],
    "CREATE INDEX ix ON users (age)": ["require-concurrent-index-creation: CREATE INDEX ix ON users (age)"],
}


@pytest.mark.parametrize("upgrade", LOCKS)
def test_what_locks_or_breaks(revisions: Revisions, upgrade: str) -> None:
    revisions.add("0002", upgrade, says='irreversible = "a test of upgrades"')

    found = revisions.check()

    assert found.locks.startswith("The upgrade of 0002 makes requests of the running release wait or fail:"), found
    assert found.keys == [f"0002: {key}" for key in LOCKS[upgrade]]


LOCK_SAFE = [
    "LOCK TABLE users IN ROW EXCLUSIVE MODE",
    BATCHES.format("email = lower(email)"),
    "UPDATE users SET nickname = '' WHERE id = 1",
    'op.execute("ALTER TABLE users ADD CONSTRAINT ck CHECK (age > 0) NOT VALID")\n'
    "with op.get_context().autocommit_block():\n"
    '    op.execute("ALTER TABLE users VALIDATE CONSTRAINT ck")',
    "ALTER TABLE users ADD COLUMN score int NOT NULL DEFAULT 1",
    "ALTER TABLE users ADD COLUMN score int",
    "ALTER TABLE users ALTER nickname DROP DEFAULT",
    "CREATE TABLE t (id int);;CREATE INDEX i ON t (id);;UPDATE t SET id = 1;;LOCK TABLE t;;ALTER TABLE t SET UNLOGGED",
    "CREATE TABLE t AS SELECT 1 AS id;;CREATE INDEX ix_t ON t (id);;ALTER TABLE t ADD CONSTRAINT u UNIQUE (id)",
    "SELECT 1 AS id INTO shop.t;;CREATE INDEX ix_t ON shop.t (id)",
    'op.create_table("t", sa.Column("id", sa.Integer(), primary_key=True), schema="shop")\n'
    'op.create_index("ix_t", "t", ["id"], schema="shop")',
    "CREATE TABLE t (id int) PARTITION BY RANGE (id);;CREATE TABLE t_1 PARTITION OF t DEFAULT;;CREATE INDEX ON t (id)",
    'with op.get_context().autocommit_block():\n    op.execute("CREATE INDEX CONCURRENTLY ix ON users (age)")',
    'with op.get_context().autocommit_block():\n    op.execute("VACUUM ANALYZE users")',
    "COMMENT ON TABLE users IS 'LOCK TABLE users; UPDATE users SET email = 1'",
]


@pytest.mark.parametrize("upgrade", LOCK_SAFE)
def test_what_neither_locks_nor_breaks(revisions: Revisions, upgrade: str) -> None:
    revisions.add("0002", upgrade, says='irreversible = "a test of upgrades"')

    assert revisions.check().locks == ""
