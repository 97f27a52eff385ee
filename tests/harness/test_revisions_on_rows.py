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
    "CREATE TABLE digits AS SELECT n::text AS digit FROM generate_series(0, 9) AS n;;ALTER TABLE users DROP age": [
        "column public.users.age and its 4 values: ALTER TABLE users DROP age"
    ],
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


@pytest.mark.parametrize(
    "upgrade", ["ALTER TABLE users DROP email", "DELETE FROM users", "UPDATE users SET age = NULL"]
)
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
    "UPDATE users SET nickname = 'old ' || nickname",
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
    "UPDATE users SET nickname = nickname || (SELECT 'WHERE (a' WHERE 1 = 1)": [
        "update-whole-table: UPDATE users SET nickname = nickname || (SELECT 'WHERE (a' WHERE 1 = 1)"
    ],
    "WITH one AS (SELECT 1 AS n WHERE true) UPDATE users SET age = age + (SELECT n FROM one)": [
        "update-whole-table: WITH one AS (SELECT 1 AS n WHERE true) UPDATE users SET age = age + (SELECT n FROM one)"
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
    "UPDATE users SET age = 1 WHERE id IN (SELECT id FROM users LIMIT 1000)",
    "WITH batch AS (SELECT id FROM users LIMIT 1000) UPDATE users SET age = 1 FROM batch WHERE users.id = batch.id",
    'op.execute("ALTER TABLE users ADD CONSTRAINT ck CHECK (age > 0) NOT VALID")\n'
    "with op.get_context().autocommit_block():\n"
    '    op.execute("ALTER TABLE users VALIDATE CONSTRAINT ck")',
    "ALTER TABLE users ADD COLUMN score int NOT NULL DEFAULT 1",
    "ALTER TABLE users ADD COLUMN score int",
    "ALTER TABLE users ALTER nickname DROP DEFAULT",
    "CREATE TABLE t (id int);;CREATE INDEX i ON t (id);;UPDATE t SET id = 1;;LOCK TABLE t;;ALTER TABLE t SET UNLOGGED",
    "CREATE TEMP TABLE batch ON COMMIT DROP AS SELECT id FROM users;;UPDATE batch SET id = id + 1",
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


def test_a_downgrade_that_loses_rows(revisions: Revisions) -> None:
    revisions.add(
        "0002",
        "CREATE TABLE notes AS SELECT id AS payment_id, note FROM payments;;ALTER TABLE payments DROP COLUMN note",
        "ALTER TABLE payments ADD COLUMN note text;;DROP TABLE notes",
    )

    found = revisions.check()

    assert found.data.splitlines()[:2] == [
        "The downgrade of 0002 deletes data that was there before the upgrade:",
        "  3 values of public.payments.note are NULL now",
    ]
    assert 'irreversible = "the reason"' in found.data
    assert found.keys == ["0002 downgrade: NULL in public.payments.note", "0002: moved: column public.payments.note"]


def test_a_downgrade_that_fails_on_rows(revisions: Revisions) -> None:
    revisions.add(
        "0002",
        "ALTER TABLE users DROP email",
        "ALTER TABLE users ADD email text NOT NULL",
        'destructive = "no use"',
    )

    found = revisions.check()

    assert found.data.startswith("The downgrade of 0002 fails if the tables have rows: versions/0002.py:")
    assert 'If a downgrade is impossible, add the reason to the revision: irreversible = "the reason"' in found.data
    assert revisions.check(downgrades=False).data == ""


@pytest.mark.parametrize(
    ("upgrade", "downgrade", "says"),
    [
        ("ALTER TABLE users ADD COLUMN score int", "ALTER TABLE users DROP COLUMN score", ""),
        ("CREATE TABLE teams (id int)", "DROP TABLE teams", ""),
        ("ALTER TABLE users RENAME age TO years", "ALTER TABLE users RENAME years TO age", ""),
        # What only schemas show is a finding of the check of downgrades.
        ("CREATE TABLE teams (id int)", "pass", ""),
        ("CREATE TABLE teams (id int)", "DROP TABLE team", ""),
        ("CREATE TABLE teams (id int)", "raise LookupError('teams')", ""),
        ("ALTER TABLE users DROP COLUMN age", 'raise NotImplementedError("no")', 'destructive = "nothing reads it"'),
        ("ALTER TABLE users DROP age", "ALTER TABLE users ADD age int", 'destructive = "nothing reads it"'),
        ("CREATE TABLE t (id int)", "DELETE FROM users", 'irreversible = "it has been deployed"'),
    ],
)
def test_what_the_check_of_data_has_nothing_to_say_of(
    revisions: Revisions, upgrade: str, downgrade: str, says: str
) -> None:
    revisions.add("0002", upgrade, downgrade, says)

    assert revisions.check().data == ""


def test_an_upgrade_that_fails_again_after_a_downgrade(revisions: Revisions) -> None:
    revisions.add(
        "0002",
        "INSERT INTO users (email) VALUES ('admin@example.com')",
        "UPDATE users SET email = email WHERE false",
    )

    found = revisions.check().data
    assert found.startswith("The upgrade after a downgrade of 0002 fails if the tables have rows: ")
    assert "downgrade() must delete the rows that upgrade() inserts." in found


def test_a_table_that_is_empty_in_production(revisions: Revisions) -> None:
    revisions.add("0002", "ALTER TABLE users ADD team_id int NOT NULL")
    assert "contains null values" in revisions.check().data

    revisions.rows("0002", "-- Nobody has signed up yet.\nTRUNCATE payments, ONLY users;")

    assert revisions.check().data == ""


UNIQUE = "CREATE UNIQUE INDEX uq ON users (nickname)"
USER = "INSERT INTO users (email, nickname) VALUES ('{0}@example.com', '{0}');"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (USER.format("ada") + USER.format("bob"), ""),
        (USER.format("ada") + USER.format("bob").replace("'bob'", "'ada'"), "Key (nickname)=(ada) is duplicated"),
        ("INSERT INTO shop.orders (number) VALUES (1)", "Key (nickname)=(Änickname"),
        ("INSERT INTO nothing", "rows/0002.sql fails:\nsyntax error at end of input"),
    ],
    ids=["rows that are right", "rows that are not", "rows of another table", "no SQL"],
)
def test_rows_of_a_file(revisions: Revisions, rows: str, message: str) -> None:
    revisions.add("0002", UNIQUE)
    revisions.rows("0002", rows)

    found = revisions.check()

    assert message in found.data
    assert bool(message) == bool(found.data)


def test_each_new_revision_gets_rows(revisions: Revisions) -> None:
    """A table and a column of the first new revision have rows before the second."""
    revisions.add("0002", "CREATE TABLE teams (id int PRIMARY KEY, name text);;ALTER TABLE users ADD team_id int")
    revisions.add("0003", "DROP TABLE teams;;ALTER TABLE users DROP team_id")

    found = revisions.check("0002", "0003")

    assert found.keys == ["0003: table public.teams", "0003: column public.users.team_id"]
    assert "table public.teams and its 4 rows" in found.data


def test_a_failure_does_not_hide_the_next_revision(revisions: Revisions) -> None:
    revisions.add("0002", "ALTER TABLE users ALTER nickname SET NOT NULL")
    revisions.add("0003", "ALTER TABLE users DROP age")

    assert revisions.check("0002", "0003").keys == [
        "0002: upgrade fails on rows",
        "0003: column public.users.age",
        "0002: adding-not-nullable-field: ALTER TABLE users ALTER nickname SET NOT NULL",
    ]


def test_a_table_with_many_rows_of_migrations(revisions: Revisions) -> None:
    """Their number is compared, and not their values."""
    revisions.add("0002", "INSERT INTO shop.orders (number) SELECT n FROM generate_series(1, 10000) AS n")
    revisions.add("0003", "UPDATE shop.orders SET number = 1 WHERE number > 0", says="irreversible = 'no'")
    revisions.add("0004", "DO $$ BEGIN DELETE FROM shop.orders WHERE number = 1; END $$", says="irreversible = 'no'")

    assert revisions.check("0003", "0004").keys == ["0004: rows of shop.orders"]


def test_only_new_revisions_are_tried(revisions: Revisions) -> None:
    revisions.add("0002", "DROP TABLE payments")
    revisions.add("0003", "CREATE TABLE teams (id int)", "DROP TABLE teams")

    assert revisions.check("0003").data == ""


def test_all_revisions_are_new(revisions: Revisions) -> None:
    revisions.add("0002", "ALTER TABLE users DROP age")

    assert revisions.check("0001", "0002").keys == ["0002: column public.users.age"]


def test_branches_and_a_merge(revisions: Revisions) -> None:
    revisions.add("0002", "ALTER TABLE users ADD score int", "ALTER TABLE users DROP score")
    revisions.add("0003", "ALTER TABLE users DROP age", after="'0001'", says="irreversible = 'no'")
    revisions.add("0004", "pass", after="('0002', '0003')")

    assert revisions.check("0002", "0003", "0004").keys == ["0003: column public.users.age"]


def test_the_first_revision(server: Server, tmp_path: Path) -> None:
    revisions = Revisions(server, tmp_path)
    revisions.add("0001", "CREATE TABLE users (id int)", "DROP TABLE users")

    assert revisions.check().keys == []


def test_a_table_that_cannot_be_filled(revisions: Revisions) -> None:
    table = "CREATE TABLE codes (code text NOT NULL CHECK (md5(code) = 'c4ca4238'))"
    revisions.add("0002", table, "DROP TABLE codes")
    revisions.add("0003", "ALTER TABLE codes ADD COLUMN note text", "ALTER TABLE codes DROP COLUMN note")

    found = revisions.check()

    assert found.data == ""
    [line] = found.summary
    assert line == (
        'savepoint: no rows for public.codes before 0003: new row for relation "codes" violates check constraint '
        '"codes_code_check". Write INSERTs of them to rows/0003.sql.'
    )
    revisions.add("0004", "ALTER TABLE users ADD COLUMN note text", "ALTER TABLE users DROP COLUMN note")
    assert revisions.check().summary == []


def test_triggers_of_the_project_do_not_run(revisions: Revisions) -> None:
    revisions.add(
        "0002",
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;;"
        "CREATE TRIGGER refuse BEFORE INSERT ON payments FOR EACH ROW EXECUTE FUNCTION refuse();;"
        "ALTER TABLE payments ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
    )
    revisions.add("0003", "ALTER TABLE payments DROP COLUMN note")

    assert "column public.payments.note and its 3 values" in revisions.check().data


def test_a_file_with_rows_for_no_revision(revisions: Revisions) -> None:
    revisions.add("0002", "ALTER TABLE users ADD note text", "ALTER TABLE users DROP note")
    revisions.rows("0020", "INSERT INTO users (email) VALUES ('ada@example.com')")

    assert revisions.check().summary == ["savepoint: rows/0020.sql is not run: no revision has this name."]
